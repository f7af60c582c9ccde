#!/usr/bin/env bash
# Installs what is missing and runs all tests. Arguments are passed to `swift test`: scripts/test.sh --filter
# CSIClientTests. Fails if no test matches them, which `swift test` itself does not.
#
# With --sanitize=thread or --sanitize=address as the first argument, tests run under that sanitizer, built in
# .build-tsan or .build-asan. A report of the sanitizer fails the run, also one of a program that a test runs.
set -euo pipefail
cd "$(dirname "$0")/.."

options=()
case "${1-}" in
    --sanitize=thread)
        shift
        mkdir -p .build-tsan
        clang -c -O2 -fPIC scripts/tsan-mutex.c -o .build-tsan/tsan-mutex.o
        # One test at a time: in parallel, some would exceed their time limits under this sanitizer.
        options=(--sanitize=thread --scratch-path .build-tsan -Xlinker "$PWD/.build-tsan/tsan-mutex.o" --no-parallel)
        ;;
    --sanitize=address)
        shift
        # XCTest leaks, and this package has no XCTest tests.
        options=(--sanitize=address --scratch-path .build-asan --disable-xctest)
        export ASAN_OPTIONS="detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
        export LSAN_OPTIONS="suppressions=$PWD/scripts/lsan-suppressions.txt:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}"
        ;;
    --sanitize*)
        echo "usage: scripts/test.sh [--sanitize=thread|address] [ARGUMENTS OF SWIFT TEST]" >&2
        exit 2
        ;;
esac

scripts/setup.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift test "${options[@]}" "$@" | tee "$log"
if grep --quiet 'Test run with 0 tests' "$log"; then
    echo "test.sh: no test was run: none matches the arguments \"$*\"" >&2
    exit 1
fi
