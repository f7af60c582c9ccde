#!/usr/bin/env bash
# Prints the image's SBOM, in SPDX 2.3 as JSON:
#
#   scripts/image/sbom.sh BINARY ROOT VERSION DIGEST CREATED
#
# BINARY is what scripts/build.sh built, ROOT the directory of scripts/image/rootfs.sh, DIGEST the image's, CREATED a
# time as in 2026-01-31T12:00:00Z. The image contains the Debian packages of ROOT. The binary is linked statically with
# the packages of scripts/image/linked.sh and with the Swift runtime.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$#" = 5 ] || {
    echo "usage: scripts/image/sbom.sh BINARY ROOT VERSION DIGEST CREATED" >&2
    exit 2
}
binary=$1 root=$2 version=$3 digest=$4 created=$5
export LC_ALL=C

# debian_packages RELATIONSHIP PACKAGE...: lines of JSON.
debian_packages() {
    local relationship=$1
    shift
    local format='${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n'
    dpkg-query --show --showformat "$format" "$@" |
        jq --raw-input --arg relationship "$relationship" --arg distribution "$distribution" '
            split("\t") as [$name, $version, $architecture, $source, $sourceVersion]
            | {
                $name, $version, $relationship, supplier: "Organization: Debian",
                source: "built from \($source) \($sourceVersion)",
                purl: ("pkg:deb/debian/\($name | @uri)@\($version | @uri)"
                    + "?arch=\($architecture)&distro=\($distribution)")
            }'
}

# swift_runtime: a line of JSON for the toolchain's libraries.
swift_runtime() {
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([^ ]*\).*/\1/p')
    jq --null-input --arg version "$version" '{
        name: "swift-runtime", $version, relationship: "STATIC_LINK", supplier: "Organization: Swift.org",
        source: "the standard libraries of the Swift toolchain \($version)", purl: null
    }'
}

# swift_packages NAME...: lines of JSON, with the versions in Package.resolved.
swift_packages() {
    jq --null-input --slurpfile resolved Package.resolved '
        $ARGS.positional[] as $identity | $resolved[0].pins[] | select(.identity == $identity)
        | (.location | sub("^https://"; "") | sub("\\.git$"; "")) as $path
        | {
            name: .identity, version: .state.version, relationship: "STATIC_LINK",
            supplier: "NOASSERTION", source: "built from \(.location) \(.state.revision)",
            purl: "pkg:swift/\($path)@\(.state.version)"
        }' --args "$@"
}

distribution=$(. /usr/lib/os-release && echo "$ID-$VERSION_ID")
linked=$(scripts/image/linked.sh "$binary")
{
    mapfile -t contained < <(ls "$root/var/lib/dpkg/status.d")
    debian_packages CONTAINS "${contained[@]}"
    if [ -n "$linked" ]; then
        swift_runtime
        mapfile -t names < <(sed -n 's/^swift \([^ ]*\) .*/\1/p' <<<"$linked")
        swift_packages "${names[@]}"
        mapfile -t names < <(sed -n 's/^debian //p' <<<"$linked")
        debian_packages STATIC_LINK "${names[@]}"
    fi
} | jq --slurp --arg version "$version" --arg digest "$digest" --arg created "$created" '
    def package($id; $name; $version; $purl): {
        SPDXID: $id, name: $name, versionInfo: $version, downloadLocation: "NOASSERTION", filesAnalyzed: false,
        licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION"
    } + if $purl then {
        externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: $purl}]
    } else {} end;
    def id: "SPDXRef-\(.relationship)-\(.name)" | gsub("[^A-Za-z0-9.-]"; "-");
    def relationship($from; $type; $to): {
        spdxElementId: $from, relationshipType: $type, relatedSpdxElement: $to
    };
    {
        spdxVersion: "SPDX-2.3",
        dataLicense: "CC0-1.0",
        SPDXID: "SPDXRef-DOCUMENT",
        name: "csi-health-monitor-\($version)",
        documentNamespace: "https://spdx.org/spdxdocs/csi-health-monitor-\($version)-\($digest | sub("sha256:"; ""))",
        creationInfo: {$created, creators: ["Tool: csi-health-monitor-image.sh-\($version)"]},
        packages: (
            [
                package("SPDXRef-Image"; "csi-health-monitor-image"; $digest; null)
                    + {primaryPackagePurpose: "CONTAINER"},
                package("SPDXRef-Binary"; "csi-health-monitor"; $version; null)
                    + {licenseDeclared: "Apache-2.0", primaryPackagePurpose: "APPLICATION"}
            ]
            + map(package(id; .name; .version; .purl) + {supplier, sourceInfo: .source})
        ),
        relationships: (
            [
                relationship("SPDXRef-DOCUMENT"; "DESCRIBES"; "SPDXRef-Image"),
                relationship("SPDXRef-Image"; "CONTAINS"; "SPDXRef-Binary")
            ]
            + map(
                if .relationship == "CONTAINS"
                then relationship("SPDXRef-Image"; "CONTAINS"; id)
                else relationship("SPDXRef-Binary"; "STATIC_LINK"; id) end
            )
        )
    }'
