#!/usr/bin/env bash
# Runs one monitor for a long time, with volumes that come, go, break and recover, and short intervals: memory and file
# descriptors must stay flat. Prints the slope, and fails when there is one.
#
#   scripts/soak.sh [--hours H] [--volumes N] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."

monitor=$(scripts/build.sh | tail -n 1)
echo "Building the test kit (some minutes the first time) ..."
swift build --quiet --product tools
exec "$(swift build --show-bin-path)/tools" soak --monitor "$monitor" "$@"
