#!/usr/bin/env bash
# Collects the image's root file system in a new directory:
#
#   scripts/image/rootfs.sh BINARY DIRECTORY
#
# That is the binary, the shared libraries that it needs and their loader, the certificates of ca-certificates, and the
# names of users and groups. For each Debian package that has one of the files, its copyright and its entry of dpkg's
# status, by which scanners find packages. For what is linked statically, its licences. The same packages and binary
# give the same files on every machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$#" = 2 ] || {
    echo "usage: scripts/image/rootfs.sh BINARY DIRECTORY" >&2
    exit 2
}
binary=$1 root=$2
umask 022
export LC_ALL=C

mkdir "$root"
mkdir --parents "$root"/{etc/ssl/certs,usr/lib,usr/lib64,usr/share/doc/csi-health-monitor,var/lib/dpkg/status.d}
ln --symbolic usr/lib "$root/lib"
ln --symbolic usr/lib64 "$root/lib64"
install --mode=755 "$binary" "$root/csi-health-monitor"
install --mode=644 LICENSE "$root/usr/share/doc/csi-health-monitor/copyright"

listed=$(ldd "$binary")
if grep 'not found' <<<"$listed" >&2; then
    echo "rootfs.sh: install the packages of these libraries" >&2
    exit 1
fi
# Lines are "NAME => PATH (ADDRESS)", and for the loader "PATH (ADDRESS)".
mapfile -t libraries < <(sed -n 's/^\(.* => \|\s*\)\(\/.*\) (0x.*)$/\2/p' <<<"$listed")
files=()
for library in "${libraries[@]}"; do
    file=$(readlink --canonicalize "$library")
    name=$(readlink --canonicalize "${library%/*}")/${library##*/}
    files+=("$file")
    mkdir --parents "$root${file%/*}" "$root${name%/*}"
    install --mode=644 "$file" "$root$file"
    [ "$name" = "$file" ] || ln --symbolic --relative "$root$file" "$root$name"
done
# The loader is a program.
chmod 755 "$root$(readlink --canonicalize "$(sed -n 's/^\s*\(\/.*\) (0x.*)$/\1/p' <<<"$listed")")"

# dpkg knows some files by their paths before /lib was merged into /usr.
owners=$(dpkg-query --search "${files[@]}" "${files[@]#/usr}" 2>/dev/null || true)
for file in "${files[@]}"; do
    grep --quiet --extended-regexp ": (/usr)?${file#/usr}\$" <<<"$owners" || {
        echo "rootfs.sh: no Debian package has $file" >&2
        exit 1
    }
done
mapfile -t packages < <(printf '%s\n' "$owners" base-files: ca-certificates: | sed 's/: .*//; s/:$//' | sort --unique)
if dpkg --verify "${packages[@]}" | grep --fixed-strings --file=<(printf '%s\n' "${files[@]#/usr}") >&2; then
    echo "rootfs.sh: these files differ from their packages: reinstall the packages" >&2
    exit 1
fi

# From the package's files: the machine's own bundle may have local authorities.
dpkg-query --listfiles ca-certificates | grep '^/usr/share/ca-certificates/.*\.crt$' | sort |
    while IFS= read -r certificate; do
        if [ -e "$certificate" ]; then
            cat "$certificate"
        else
            echo "rootfs.sh: left out, because it was removed from this machine: $certificate" >&2
        fi
    done >"$root/etc/ssl/certs/ca-certificates.crt"

install --mode=644 /usr/lib/os-release "$root/usr/lib/os-release"
ln --symbolic ../usr/lib/os-release "$root/etc/os-release"
printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"

# documents NAME FILE...: copies the files to the documents of a package.
documents() {
    mkdir "$root/usr/share/doc/$1"
    install --mode=644 --target-directory="$root/usr/share/doc/$1" "${@:2}"
}

# The copyright files refer to these licences.
cp --recursive --no-dereference /usr/share/common-licenses "$root/usr/share/common-licenses"
for package in "${packages[@]}"; do
    name=${package%:*}
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$name"
    documents "$name" "/usr/share/doc/$name/copyright"
done

linked=$(scripts/image/linked.sh "$binary")
while read -r kind name checkout; do
    case "$kind" in
        debian) documents "$name" "/usr/share/doc/$name/copyright" ;;
        swift)
            mapfile -t texts < <(find "$checkout" -maxdepth 1 \( -name 'LICENSE*' -o -name 'NOTICE*' \) | sort)
            documents "$name" "${texts[@]}"
            ;;
    esac
done <<<"$linked"
if [ -n "$linked" ]; then
    # Not beside the command, which may be a proxy as swiftly's.
    resources=$(swift -print-target-info | jq --raw-output .paths.runtimeResourcePath)
    documents swift-runtime "${resources%/lib/swift}/share/swift/LICENSE.txt"
fi
