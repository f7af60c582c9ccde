#!/usr/bin/env bash
# Builds the container image as an OCI archive, on Debian 12 without a container engine or a registry:
#
#   scripts/image.sh [--output FILE.tar] [--tag NAME] [--binary PATH] [--source URL] [--test]
#
# --output  the archive, by default .build-release/image/csi-health-monitor.tar; the SBOM, in SPDX 2.3 as JSON, is
#           beside it as FILE.spdx.json
# --tag     the image's name, by default localhost/csi-health-monitor:VERSION
# --binary  a binary of scripts/build.sh; by default it is built
# --source  the URL of the repository for the label org.opencontainers.image.source; by default there is no such label
# --test    also build it a second time, which must give the same archive and SBOM, and run scripts/image-test.sh
#
# Prints the digest of the manifest, and on standard error the image's name and tag for a kustomization. The same binary
# and Debian packages give the same archive. Times are SOURCE_DATE_EPOCH, by default the time of the commit.
# docs/image.md describes the image.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

archive=.build-release/image/csi-health-monitor.tar tag= binary= source= test=
while [ "$#" -gt 0 ]; do
    case "$1" in
        --output=* | --tag=* | --binary=* | --source=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    esac
    case "$1" in
        --test)
            test=yes
            shift
            continue
            ;;
        --output | --tag | --binary | --source) [ "$#" -gt 1 ] || usage ;;
        *) usage ;;
    esac
    case "$1" in
        # Relative to the caller's directory.
        --output) archive=$(cd "$OLDPWD" && realpath --canonicalize-missing "$2") ;;
        --tag) tag=$2 ;;
        --binary) binary=$(cd "$OLDPWD" && realpath --canonicalize-missing "$2") ;;
        --source) source=$2 ;;
    esac
    shift 2
done

scripts/setup.sh
[ -n "$binary" ] || binary=$(scripts/build.sh | tail -n 1)
# Without symbolic links, because what is linked statically is found by the build's directory.
binary=$(realpath "$binary")
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || {
        echo "image.sh: set SOURCE_DATE_EPOCH: without git there is no time of a commit" >&2
        exit 1
    }
fi
created=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
# From the binary, so that the labels cannot differ from it.
read -r _ version revision < <("$binary" --version)
revision=${revision//[()]/}
[ -n "$revision" ] || {
    echo "image.sh: $binary --version has no revision: build it with scripts/build.sh" >&2
    exit 1
}
tag=${tag:-localhost/csi-health-monitor:$version}

directory=$(mktemp --directory)
trap 'rm -rf "$directory"' EXIT
umask 022
root=$directory/root layout=$directory/layout
mkdir --parents "$layout/blobs/sha256"

# archive_of DIRECTORY: a tar archive that depends on the contents of its files alone.
archive_of() {
    LC_ALL=C tar --create --format=gnu --directory="$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner .
}

# digest FILE
digest() {
    sha256sum "$1" | sed 's/ .*//; s/^/sha256:/'
}

# blob MEDIA-TYPE FILE: moves the file among the blobs and prints its descriptor.
blob() {
    local sum size
    sum=$(digest "$2")
    size=$(stat --format=%s "$2")
    mv "$2" "$layout/blobs/sha256/${sum#sha256:}"
    jq --null-input --compact-output --arg mediaType "$1" --arg digest "$sum" --argjson size "$size" \
        '{$mediaType, $digest, $size}'
}

scripts/image/rootfs.sh "$binary" "$root"
archive_of "$root" >"$directory/layer.tar"
layer_content=$(digest "$directory/layer.tar")
gzip --no-name --best "$directory/layer.tar"
layer=$(blob application/vnd.oci.image.layer.v1.tar+gzip "$directory/layer.tar.gz")

jq --null-input --compact-output --arg architecture "$(dpkg --print-architecture)" --arg created "$created" \
    --arg version "$version" --arg revision "$revision" --arg source "$source" --arg layer "$layer_content" '{
        $created, $architecture, os: "linux",
        config: {
            User: "65532:65532",
            # For `kubectl exec`.
            Env: ["PATH=/"],
            Entrypoint: ["/csi-health-monitor"],
            WorkingDir: "/",
            Labels: (
                {
                    "org.opencontainers.image.title": "csi-health-monitor",
                    "org.opencontainers.image.description": "CSI volume health monitor for Kubernetes",
                    "org.opencontainers.image.licenses": "Apache-2.0",
                    "org.opencontainers.image.version": $version,
                    "org.opencontainers.image.revision": $revision,
                    "org.opencontainers.image.created": $created
                } + if $source == "" then {} else {"org.opencontainers.image.source": $source} end
            )
        },
        rootfs: {type: "layers", diff_ids: [$layer]},
        history: [{$created, created_by: "scripts/image.sh"}]
    }' >"$directory/config.json"
config=$(blob application/vnd.oci.image.config.v1+json "$directory/config.json")

jq --null-input --compact-output --argjson config "$config" --argjson layer "$layer" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", $config, layers: [$layer]
    }' >"$directory/manifest.json"
manifest_digest=$(digest "$directory/manifest.json")
manifest=$(blob application/vnd.oci.image.manifest.v1+json "$directory/manifest.json")

# containerd takes the name from the first annotation, skopeo and podman from the second.
jq --null-input --compact-output --argjson manifest "$manifest" --arg tag "$tag" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: [$manifest + {annotations: {
            "io.containerd.image.name": $tag, "org.opencontainers.image.ref.name": $tag
        }}]
    }' >"$layout/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"

mkdir --parents "$(dirname "$archive")"
archive_of "$layout" >"$archive"
scripts/image/sbom.sh "$binary" "$root" "$version" "$manifest_digest" "$created" >"${archive%.tar}.spdx.json"

echo "$archive: $tag, $(stat --format=%s "$archive") bytes" >&2
# A colon before the last slash belongs to a registry's port.
case ${tag##*/} in
    *:*) echo "for kustomizations: {name: csi-health-monitor, newName: ${tag%:*}, newTag: ${tag##*:}}" >&2 ;;
    *) echo "for kustomizations: {name: csi-health-monitor, newName: $tag}" >&2 ;;
esac
echo "$manifest_digest"
[ -n "$test" ] || exit 0

again=$directory/again.tar
SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH scripts/image.sh --binary "$binary" --tag "$tag" --source "$source" \
    --output "$again" >/dev/null
for file in "$archive" "${archive%.tar}.spdx.json"; do
    other=${again%.tar}${file#"${archive%.tar}"}
    cmp "$file" "$other" || {
        echo "image.sh: $file differs when it is built a second time" >&2
        exit 1
    }
done
echo "ok: built a second time, the archive and the SBOM are the same" >&2
scripts/image-test.sh "$archive"
