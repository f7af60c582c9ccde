#!/usr/bin/env bash
# Builds the binary that ships: optimised for size, the Swift runtime linked in, stripped. Prints where it is.
#
# Without exported symbols the linker can drop what nobody calls; a stripped binary has no names for a crash's backtrace.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
options=(--configuration release --product csi-health-monitor --scratch-path .build-release --static-swift-stdlib
    -Xswiftc -Osize -Xlinker --no-export-dynamic -Xlinker --gc-sections -Xlinker --icf=all -Xlinker --strip-all)
swift build --quiet "${options[@]}"
echo "$(swift build "${options[@]}" --show-bin-path)/csi-health-monitor"
