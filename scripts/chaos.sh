#!/usr/bin/env bash
# Injects faults around three replicas of the monitor, or with --side=node around an agent, and checks the promises all
# the time: conditions and recoveries are reported once, there is one leader, no write in the steady state, no health from
# an error, nothing about pods that have not started or have ended (docs/reliability.md).
#
#   scripts/chaos.sh [--side=controller|node] [--seed N] [--minutes M] [--fault NAME] [--directory DIR]
#
# The same seed makes the same rounds. A failure is printed with its seed and the history.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
echo "Building (some minutes the first time) ..."
swift build --quiet --product csi-health-monitor
swift build --quiet --product tools
binaries=$(swift build --show-bin-path)
# To skew the clocks of replicas.
fake_time=$(dpkg-query --listfiles libfaketime | grep --max-count=1 '/libfaketimeMT.so.1$')
exec "$binaries/tools" chaos --monitor "$binaries/csi-health-monitor" --fake-time-library "$fake_time" "$@"
