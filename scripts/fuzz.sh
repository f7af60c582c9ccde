#!/usr/bin/env bash
# Fuzzes the parsers of bytes from outside with libFuzzer and AddressSanitizer:
#
#     scripts/fuzz.sh TARGET SECONDS [SEED] one target, or "all", each for SECONDS; by default with a random seed
#     scripts/fuzz.sh --replay TARGET FILE  one input
#     scripts/fuzz.sh --minimize TARGET     add the inputs that increase coverage to the committed corpus
#
# The targets are in scripts/tools/FuzzTargets, the corpora in Tests/FuzzTargetsTests/Corpora. New inputs of a run are
# kept in .build-fuzz/corpora. Fails when an input crashes, hangs, leaks or breaks an invariant.
set -euo pipefail
cd "$(dirname "$0")/.."

committed=Tests/FuzzTargetsTests/Corpora
# A test checks that there is a corpus for each target.
mapfile -t targets < <(ls "$committed")
scratch=.build-fuzz/corpora
findings=.build-fuzz/findings

usage() {
    sed -n '2,6s/^#//p' "$0" >&2
    echo "Targets: ${targets[*]}" >&2
    exit 2
}

# Optimised, which makes the targets many times faster and still traps overflows. lld, because gold prints hundreds of
# warnings about symbols of AddressSanitizer.
build() {
    scripts/setup.sh
    local options=(--configuration release --product fuzzer --scratch-path .build-fuzz --sanitize fuzzer
        -Xswiftc -sanitize=fuzzer,address -Xcc -fsanitize=address -Xswiftc -use-ld=lld)
    export CSI_HEALTH_MONITOR_FUZZING=1
    swift build --quiet "${options[@]}"
    fuzzer=$(swift build "${options[@]}" --show-bin-path)/fuzzer
}

# run_fuzzer TARGET LIMIT ARGUMENTS...: without Swift's backtraces, which would come before libFuzzer keeps the input.
run_fuzzer() {
    local target=$1 limit=$2
    shift 2
    FUZZ_TARGET=$target SWIFT_BACKTRACE=enable=no timeout --kill-after=5 "$limit" "$fuzzer" -timeout=10 "$@"
}

fuzz() {
    local target=$1 seconds=$2 seed=${3:-0} log=.build-fuzz/$1.log status=0
    mkdir -p "$scratch/$target" "$findings"
    run_fuzzer "$target" $((seconds + 120)) -seed="$seed" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$findings/$target-" "$scratch/$target" "$committed/$target" >"$log" 2>&1 || status=$?
    local executions coverage
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep --text --only-matching 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1 || true)
    if [ "$status" = 0 ]; then
        echo "$target: ok, ${executions:-0} executions, ${coverage:-no coverage}"
        return
    fi
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    grep --text --extended-regexp 'Fatal error|runtime error|ERROR: |SUMMARY: ' "$log" >&2 || tail -n 20 "$log" >&2
    echo "$target: FAILED with $status after ${executions:-0} executions; the log is $log" >&2
    if [ -n "$input" ]; then
        echo "    to reproduce: scripts/fuzz.sh --replay $target $input" >&2
        echo "    when it is fixed: mv $input $committed/$target/DESCRIPTIVE-NAME" >&2
    fi
    return 1
}

is_target() {
    [[ " ${targets[*]} " == *" $1 "* ]]
}

case ${1:-} in
--replay)
    { [ $# = 3 ] && is_target "$2"; } || usage
    build
    run_fuzzer "$2" 60 "$3"
    ;;
--minimize)
    { [ $# = 2 ] && is_target "$2"; } || usage
    build
    minimized=$(mktemp --directory)
    trap 'rm -rf "$minimized"' EXIT
    mkdir -p "$scratch/$2"
    run_fuzzer "$2" 600 -merge=1 -max_len=4096 "$minimized" "$committed/$2" "$scratch/$2" 2>&1 | grep 'MERGE-OUTER' | tail -n 1
    # Only inputs named by a hash are replaced; the others were added by hand.
    find "$committed/$2" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -delete
    for input in "$minimized"/*; do
        known=0
        for named in "$committed/$2"/*; do
            if cmp --silent "$input" "$named"; then known=1; fi
        done
        [ "$known" = 1 ] || cp "$input" "$committed/$2/"
    done
    du --summarize --bytes "$committed/$2"
    ;;
all)
    [[ ($# = 2 || $# = 3) && $2 =~ ^[0-9]+$ && ${3:-0} =~ ^[0-9]+$ ]] || usage
    build
    failed=0
    for target in "${targets[@]}"; do fuzz "$target" "${@:2}" || failed=1; done
    exit $failed
    ;;
*)
    { [[ ($# = 2 || $# = 3) && $2 =~ ^[0-9]+$ && ${3:-0} =~ ^[0-9]+$ ]] && is_target "$1"; } || usage
    build
    fuzz "$@"
    ;;
esac
