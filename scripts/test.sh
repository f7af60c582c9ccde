#!/usr/bin/env bash
# Sets everything up and runs all tests. Arguments go to `swift test`: scripts/test.sh --filter VolumeHealthTests
#
# --sanitize=thread or --sanitize=address, as the first argument, does so under that sanitizer, in a build directory of
# its own: .build-tsan, .build-asan. A report of the sanitizer fails the run, also one about a program that a test runs.
set -euo pipefail
cd "$(dirname "$0")/.."

options=()
case "${1-}" in
    --sanitize=thread)
        shift
        mkdir -p .build-tsan
        clang -c -O2 -fPIC scripts/tsan-mutex.c -o .build-tsan/tsan-mutex.o
        # One test at a time: slowed down and all at once, some reach their time limits.
        options=(--sanitize=thread --scratch-path .build-tsan -Xlinker "$PWD/.build-tsan/tsan-mutex.o" --no-parallel)
        ;;
    --sanitize=address)
        shift
        # XCTest, in which there are no tests here, leaks.
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
exec swift test "${options[@]}" "$@"
