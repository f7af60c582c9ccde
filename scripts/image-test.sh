#!/usr/bin/env bash
# Tests an image of scripts/image.sh without a container engine, as root:
#
#   scripts/image-test.sh ARCHIVE [TOOLS]
#
# The SBOM beside the archive must be about this image and have its Debian packages and what is linked statically. The
# image is unpacked and its program run as the container would be: user 65532, without capabilities, with a
# read-only root and a /proc of its own. It must print its version, become leader in a simulated cluster, list volumes
# over TLS and release the lease on SIGTERM. Without any one of its libraries it must not start. TOOLS is the path of a
# built program `tools`; by default it is built.
set -euo pipefail
cd "$(dirname "$0")/.."

{ [ "$#" = 1 ] || [ "$#" = 2 ]; } || {
    echo "usage: scripts/image-test.sh ARCHIVE [TOOLS]" >&2
    exit 2
}
# Relative to the caller's directory.
archive=$(cd "$OLDPWD" && realpath --canonicalize-missing "$1") tools=${2:-}
maximum_bytes=$((25 * 1000 * 1000))

if [ "$(id --user)" != 0 ]; then
    echo "image-test.sh: skipped: mounts, chroot and another user need root" >&2
    exit 0
fi
scripts/setup.sh
if [ -z "$tools" ]; then
    echo "Building the test kit (some minutes the first time) ..."
    swift build --quiet --product tools
    tools=$(swift build --show-bin-path)/tools
fi

directory=$(mktemp --directory)
layout=$directory/layout root=$directory/root cluster=$directory/cluster
cluster_pid= program_pid=
cleanup() {
    status=$?
    for pid in $program_pid $cluster_pid; do kill "$pid" 2>/dev/null || true; done
    wait
    if [ "$status" != 0 ]; then
        echo "image-test.sh: failed; the last lines of the logs:" >&2
        tail --lines=5 "$directory"/*.log >&2 || true
    fi
    rm -rf "$directory"
}
trap cleanup EXIT

fail() {
    echo "image-test.sh: $1" >&2
    exit 1
}

# until_true SECONDS WHAT COMMAND...: repeats the command until it succeeds, or fails after SECONDS.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "no $what"
        sleep 0.2
    done
}

# same WHAT EXPECTED ACTUAL
same() {
    [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}

# in_image ARGUMENTS...: runs the program in the image. `chroot` needs three capabilities to change its root and user;
# the program has none, because it is not root.
in_image() {
    local inside='
        root=$1 cluster=$2
        shift 2
        mount --bind "$root" "$root"
        mount --bind "$cluster" "$root$cluster"
        for file in /etc/hosts /etc/resolv.conf; do mount --bind "$file" "$root$file"; done
        mount --types proc proc "$root/proc"
        mount --options remount,bind,ro "$root"
        cd "$root"
        exec env --ignore-environment PATH=/usr/sbin:/usr/bin \
            setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid \
            chroot --userspec=65532:65532 --groups= "$root" /csi-health-monitor "$@"'
    exec unshare --mount --pid --fork bash -euc "$inside" in_image "$root" "$cluster" "$@"
}

# The archive: every blob has its digest, and the layer is the one that the config names.
mkdir "$layout" "$root" "$cluster"
tar --extract --file="$archive" --directory="$layout"
[ "$(stat --format=%s "$archive")" -le "$maximum_bytes" ] || fail "$archive has more than $maximum_bytes bytes"
# sum: the SHA-256 digest of standard input.
sum() { sha256sum | sed 's/ .*//'; }
for blob in "$layout"/blobs/sha256/*; do same "$blob" "${blob##*/}" "$(sum <"$blob")"; done
# blob DIGEST: its path.
blob() { echo "$layout/blobs/sha256/${1#sha256:}"; }
manifest=$(blob "$(jq --raw-output '.manifests[0].digest' "$layout/index.json")")
config=$(blob "$(jq --raw-output .config.digest "$manifest")")
layer=$(blob "$(jq --raw-output '.layers[0].digest' "$manifest")")
same "content of the layer" "$(jq --raw-output '.rootfs.diff_ids[0]' "$config")" \
    "sha256:$(gzip --decompress --stdout "$layer" | sum)"
same "user" 65532:65532 "$(jq --raw-output .config.User "$config")"
same "entry point" '["/csi-health-monitor"]' "$(jq --compact-output .config.Entrypoint "$config")"

# The files: nothing to run but the program and the loader, and all of it root's.
tar --extract --gzip --file="$layer" --directory="$root" --same-owner --numeric-owner --preserve-permissions
programs=$(find "$root" -type f -perm /111 -printf '%f\n' | sed 's/^\(ld-linux\).*/\1/' | sort)
same "programs" $'csi-health-monitor\nld-linux' "$programs"
same "files that others can change" "" "$(find "$root" ! -type l \( -perm /6022 -o ! -user 0 -o ! -group 0 \))"
echo "ok: the archive and its files"

# The SBOM: of this image, with the Debian packages in it and their versions, and what is linked statically.
sbom=${archive%.tar}.spdx.json
# in_sbom FILTER: the filter's output is not false or null.
in_sbom() { jq --exit-status "$1" "$sbom" >/dev/null || fail "$sbom: not so: $1"; }
same "SBOM's image" "$(jq --raw-output '.manifests[0].digest' "$layout/index.json")" \
    "$(jq --raw-output '.packages[] | select(.SPDXID == "SPDXRef-Image").versionInfo' "$sbom")"
in_sbom '.spdxVersion == "SPDX-2.3" and .dataLicense == "CC0-1.0" and .SPDXID == "SPDXRef-DOCUMENT"'
in_sbom '[.packages[].SPDXID] | length == (unique | length)'
in_sbom '[.SPDXID, .packages[].SPDXID] as $ids
    | all(.relationships[]; [.spdxElementId, .relatedSpdxElement] - $ids == [])'
in_sbom 'all(.packages[]; .versionInfo != "" and .versionInfo != null)'
# packages_of ELEMENT RELATIONSHIP: their names and versions, one on a line, sorted.
packages_of() {
    jq --raw-output --arg element "$1" --arg type "$2" '
        [.relationships[] | select(.spdxElementId == $element and .relationshipType == $type).relatedSpdxElement] as $ids
        | .packages[] | select(.SPDXID | IN($ids[])) | "\(.name) \(.versionInfo)"' "$sbom" | LC_ALL=C sort
}
same "Debian packages of the SBOM" "$(packages_of SPDXRef-Image CONTAINS | grep --invert-match '^csi-health-monitor ')" \
    "$(for file in "$root"/var/lib/dpkg/status.d/*; do
        sed -n 's/^Version: //p' "$file" | sed "s/^/${file##*/} /"
    done | LC_ALL=C sort)"
linked=$(packages_of SPDXRef-Binary STATIC_LINK)
for package in swift-runtime swift-nio swift-protobuf libgrpc-dev; do
    grep --quiet "^$package [0-9]" <<<"$linked" || fail "$sbom: $package is not linked statically: $linked"
done
echo "ok: the SBOM has the $(packages_of SPDXRef-Image CONTAINS | wc -l) packages of the image," \
    "and $(wc -l <<<"$linked") that are linked statically"

# A container runtime creates what it mounts on.
mkdir --parents "$root/proc" "$root$cluster"
touch "$root/etc/hosts" "$root/etc/resolv.conf"

version=$( (in_image --version) 2>"$directory/version.log") || fail "--version failed"
# label NAME
label() { jq --raw-output --arg name "org.opencontainers.image.$1" '.config.Labels[$name]' "$config"; }
same "version" "csi-health-monitor $(label version) ($(label revision))" "$version"
echo "ok: $version"

libraries=0
for library in "$root"/usr/lib/*-linux-gnu/*.so.*; do
    [ ! -L "$library" ] || continue
    mv "$library" "$directory/removed"
    if (in_image --version) >"$directory/removed.log" 2>&1; then fail "the program starts without ${library##*/}"; fi
    mv "$directory/removed" "$library"
    libraries=$((libraries + 1))
done
[ "$libraries" -gt 5 ] || fail "only $libraries libraries in the image"
(in_image --version) >/dev/null
echo "ok: it starts with all of its $libraries libraries, and without any one of them it does not"

"$tools" cluster --directory "$cluster" >"$directory/cluster.log" 2>&1 &
cluster_pid=$!
until_true 60 "simulated cluster" test -e "$cluster/ready"
chown --recursive 65532:65532 "$cluster"
# By name, so that the host name is resolved in the image.
sed -i 's/127\.0\.0\.1/localhost/' "$cluster/kubeconfig"
grep --quiet 'https://localhost:' "$cluster/kubeconfig" || fail "the kubeconfig has no https://localhost"

in_image --csi-address="$cluster/csi.sock" --kubeconfig="$cluster/kubeconfig" --leader-election \
    --leader-election-namespace=default --list-volumes-interval=1s --http-endpoint=127.0.0.1:0 --v=4 \
    >"$directory/monitor.log" 2>&1 &
monitor_pid=$!
# unshare ignores SIGTERM; its child becomes the program.
has_child() {
    program_pid=$(cat "/proc/$monitor_pid/task/$monitor_pid/children")
    program_pid=${program_pid% }
    [ -n "$program_pid" ]
}
until_true 60 "process in the image" has_child
until_true 60 "leadership" grep --quiet "Became leader" "$directory/monitor.log"
until_true 60 "list of volumes" grep --quiet "Listed all volumes" "$directory/monitor.log"

# The promises about the process, as the kernel sees it.
same "user" "65532 65532 65532 65532" "$(sed -n 's/^Uid:\t//p' "/proc/$program_pid/status" | tr '\t' ' ')"
same "groups" "" "$(sed -n 's/^Groups:[\t ]*//p' "/proc/$program_pid/status")"
for set in CapInh CapPrm CapEff CapAmb; do
    same "$set" 0000000000000000 "$(sed -n "s/^$set:\t//p" "/proc/$program_pid/status")"
done
grep --quiet --extended-regexp '^([^ ]+ ){4}/ ro,' "/proc/$program_pid/mountinfo" || fail "the root is not read-only"
echo "ok: leads and lists as user 65532 without capabilities, with a read-only root"

kill -TERM "$program_pid"
status=0
wait "$monitor_pid" || status=$?
program_pid=
same "exit code on SIGTERM" 0 "$status"
grep --quiet "Released lease" "$directory/monitor.log" || fail "the lease was not released"
echo "ok: releases the lease on SIGTERM"
