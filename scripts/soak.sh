#!/usr/bin/env bash
# Runs one monitor for a long time with short intervals, while volumes come, go, break and recover. Prints the slopes of
# memory and file descriptors, and fails when they grow.
#
#   scripts/soak.sh [--hours H] [--volumes N] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."

monitor=$(scripts/build.sh | tail -n 1)
echo "Building the test kit (some minutes the first time) ..."
swift build --quiet --product tools
exec "$(swift build --show-bin-path)/tools" soak --monitor "$monitor" "$@"
