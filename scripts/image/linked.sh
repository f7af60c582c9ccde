#!/usr/bin/env bash
# Prints the packages that a binary of scripts/build.sh is linked with statically, one on a line:
#
#   scripts/image/linked.sh BINARY
#
#   debian NAME
#   swift NAME DIRECTORY
#
# They are read from the linker's list of files, which is beside the binary. Without that list, prints nothing but a
# warning on standard error.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C

[ "$#" = 1 ] || {
    echo "usage: scripts/image/linked.sh BINARY" >&2
    exit 2
}
objects=$1.product/Objects.LinkFileList
if [ ! -e "$objects" ]; then
    echo "linked.sh: unknown what is linked statically: no $objects" >&2
    exit
fi
# The scratch directory of the build: its binary is in TRIPLE/release.
scratch=${1%/*/*/*}

# A module's objects are in MODULE.build, its sources in Sources/MODULE of the package's checkout.
sed -n 's/.*\/\([^/]*\)\.build\/.*/\1/p' "$objects" | sort --unique |
    while IFS= read -r module; do
        find "$scratch"/checkouts/*/Sources -maxdepth 1 -name "$module" -printf '%h\n'
    done | sort --unique | sed 's|\(.*/checkouts/\(.*\)\)/Sources$|swift \2 \1|'

# The linker scripts of scripts/build.sh name the archives.
mapfile -t archives < <(sed 's/[()]/ /g' "$scratch"/libraries/lib*.so | tr ' ' '\n' | grep '^/.*\.a$')
mapfile -t archives < <(readlink --canonicalize "${archives[@]}" | sort --unique)
dpkg-query --search "${archives[@]}" | sed 's/: .*//; s/:.*//; s/^/debian /' | sort --unique
