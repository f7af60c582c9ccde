#!/usr/bin/env bash
# Builds the binary that ships, and prints its path: optimised for size, stripped, with the Swift runtime, gRPC core and the C++
# library linked statically. With --symbols it is not stripped: it has the same code at the same addresses, to read the
# stripped one's backtraces.
#
# Without exported symbols the linker can drop unused code. A stripped binary has no symbols for backtraces. See
# docs/decisions/0003-linking-and-optimisation.md for the effect of each option.
set -euo pipefail
cd "$(dirname "$0")/.."

strip=(-Xlinker --strip-all)
case "${1-}" in
    "") ;;
    --symbols) strip=() ;;
    *)
        echo "usage: scripts/build.sh [--symbols]" >&2
        exit 2
        ;;
esac
scripts/setup.sh

# Linker scripts that name archives; the linker finds them before the shared libraries of the same names. clang is the
# Swift toolchain's.
libraries=$PWD/.build-release/libraries
system=$(dirname "$(clang -print-file-name=libgrpc_unsecure.a)")
mkdir -p "$libraries"
archives=$(printf '%s ' "$system"/lib{grpc_unsecure,gpr,upb,address_sorting,cares,absl_*}.a)
for library in grpc_unsecure gpr; do echo "GROUP ( $archives -lz )" >"$libraries/lib$library.so"; done
echo "GROUP ( $(clang -print-file-name=libstdc++.a) )" >"$libraries/libstdc++.so"

options=(--configuration release --product csi-health-monitor --scratch-path .build-release --static-swift-stdlib
    -Xswiftc -Osize -Xswiftc -Xfrontend -Xswiftc -function-sections -Xswiftc -use-ld=lld
    -Xswiftc "-L$libraries" -Xlinker --no-export-dynamic -Xlinker --gc-sections -Xlinker --icf=all
    -Xlinker -z -Xlinker pack-relative-relocs "${strip[@]}")

# The version and the commit, for --version, csi_volume_health_build_info and the labels of the image. The caller may
# set them, for example in an image build without git. Without a tag, the version is the changelog's top entry with
# "-dev". A git that refuses the checkout, such as one of another user, is an error: its message says what to do.
if [ -e .git ] && [ -z "${CSI_HEALTH_MONITOR_REVISION:-}" ] && command -v git >/dev/null; then
    git rev-parse --verify HEAD >/dev/null
fi
version=$(git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null ||
    sed -n '/^## \[/{s/^## \[\(.*\)\].*/\1-dev/p;q}' CHANGELOG.md)
export CSI_HEALTH_MONITOR_VERSION=${CSI_HEALTH_MONITOR_VERSION:-${version#v}}
revision=$(git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown)
export CSI_HEALTH_MONITOR_REVISION=${CSI_HEALTH_MONITOR_REVISION:-$revision}
swift build --quiet "${options[@]}"
echo "$(swift build "${options[@]}" --show-bin-path)/csi-health-monitor"
