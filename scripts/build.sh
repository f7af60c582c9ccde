#!/usr/bin/env bash
# Builds the binary that ships, and prints its path: optimised, stripped, with the Swift runtime, gRPC core and the C++
# library linked statically.
#
# Without exported symbols the linker can drop unused code. A stripped binary has no symbols for backtraces. See
# docs/decisions/0003-linking-and-optimisation.md for the effect of each option.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh

# Linker scripts that name archives; the linker finds them before the shared libraries of the same names.
libraries=$PWD/.build-release/libraries
system=$(dirname "$(gcc -print-file-name=libgrpc_unsecure.a)")
mkdir -p "$libraries"
archives=$(printf '%s ' "$system"/lib{grpc_unsecure,gpr,upb,address_sorting,cares,absl_*}.a)
for library in grpc_unsecure gpr; do echo "GROUP ( $archives -lz )" >"$libraries/lib$library.so"; done
echo "GROUP ( $(gcc -print-file-name=libstdc++.a) )" >"$libraries/libstdc++.so"

options=(--configuration release --product csi-health-monitor --scratch-path .build-release --static-swift-stdlib
    -Xswiftc -O -Xswiftc -Xfrontend -Xswiftc -function-sections -Xswiftc -use-ld=lld
    -Xswiftc "-L$libraries" -Xlinker --no-export-dynamic -Xlinker --gc-sections -Xlinker --icf=all
    -Xlinker -z -Xlinker pack-relative-relocs -Xlinker --strip-all)
# For the metric csi_volume_health_build_info. The caller may set it, for example in an image build without git.
CSI_HEALTH_MONITOR_REVISION=${CSI_HEALTH_MONITOR_REVISION:-$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)}
export CSI_HEALTH_MONITOR_REVISION
swift build --quiet "${options[@]}"
echo "$(swift build "${options[@]}" --show-bin-path)/csi-health-monitor"
