#!/usr/bin/env bash
# Sets everything up and runs all tests. Arguments go to `swift test`: scripts/test.sh --filter VolumeHealthTests
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
exec swift test "$@"
