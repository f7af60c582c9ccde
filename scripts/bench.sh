#!/usr/bin/env bash
# Measures the sidecar and the agent with the simulated cluster, one scenario after the other. Writes to
# .build-bench/report a table in Markdown, which is also printed, and a JSON file for each scenario.
#
#   scripts/bench.sh                        all scenarios with optimised binaries, about four hours
#   scripts/bench.sh memory sweep           these scenarios
#   scripts/bench.sh --runs 3 --against PATH [SCENARIO ...]
#                                           also measure another sidecar with external-health-monitor's flags
#   scripts/bench.sh --quick                check that the benchmarks work: debug binaries, few volumes, two minutes
#
# Unlike memory, durations are meaningful only when nothing else runs on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

quick= runs=5 against= extra=() scenarios=()
while [ "$#" -gt 0 ]; do
    case "$1" in
        --quick) quick=yes ;;
        --runs)
            [ "$#" -gt 1 ] || usage
            runs=$2
            shift
            ;;
        --against)
            [ "$#" -gt 1 ] || usage
            against=yes
            extra+=(--against "$2")
            shift
            ;;
        -*) usage ;;
        *) scenarios+=("$1") ;;
    esac
    shift
done

scripts/setup.sh
if [ -n "$quick" ]; then
    runs=1
    extra+=(--check)
    for product in csi-health-monitor tools allocations; do swift build --quiet --product "$product"; done
    binaries=$(swift build --show-bin-path)
    sidecar=$binaries/csi-health-monitor
else
    sidecar=$(scripts/build.sh | tail -n 1)
    options=(--configuration release --scratch-path .build-bench)
    for product in tools allocations; do swift build --quiet "${options[@]}" --product "$product"; done
    binaries=$(swift build "${options[@]}" --show-bin-path)
fi
bench=("$binaries/tools" bench)

# arguments NAME: prints a scenario's subcommand and the arguments that differ from its defaults.
arguments() {
    case "$quick$1" in
        yesmemory) echo memory --volumes 10 --generations legacy health ;;
        yessweep) echo sweep --volumes 100 --seconds 0.5 ;;
        yesstartup) echo startup --volumes 100 ;;
        yesget) echo get --volumes 20 --latency 5 --interval 2 --intervals 2 ;;
        yesconcurrency) echo concurrency --servers 4 --service 10 --seconds 1 --warm-up 1 --worker-threads 8 ;;
        yesoutage) echo outage --volumes 20 --interval 1 ;;
        yesoutage-default-limits) echo outage --volumes 10 --interval 1 --queries-per-second 0 ;;
        yessteady) echo steady --volumes 20 --interval 2 ;;
        yesgrowth) echo growth --volumes 10 20 --seconds 0.5 ;;
        yesfailover) echo failover --volumes 20 --settling 1 ;;
        yesagent) echo agent --pods 4 --volumes 5 --interval 1 --rest 2 --agents 3 --spread 1 ;;
        yesstatus) echo status --volumes 20 ;;
        # external-health-monitor 0.18 does not support the health RPCs of CSI 1.13.
        memory) echo memory ${against:+--generations legacy} ;;
        failover) echo failover ${against:+--no-warm} ;;
        outage-default-limits) echo outage --volumes 2000 --queries-per-second 0 ;;
        *) echo "$1" ;;
    esac
}

if [ "${#scenarios[@]}" = 0 ]; then
    scenarios=(memory sweep startup get concurrency outage outage-default-limits steady growth failover)
    # external-health-monitor 0.18 has neither of these.
    [ -n "$against" ] || scenarios+=(agent status)
fi
report=.build-bench/report
mkdir -p "$report"
{
    "${bench[@]}" machine
    for scenario in "${scenarios[@]}"; do
        read -r -a words <<<"$(arguments "$scenario")"
        printf '\n`tools bench %s`\n\n' "${words[*]}"
        "${bench[@]}" "${words[@]}" --sidecar "$sidecar" "${extra[@]}" --runs "$runs" --json "$report/$scenario.json"
    done
    printf '\n`allocations`\n\n'
    # The limits are for an optimised build.
    "$binaries/allocations" ${quick:+--no-limits}
} | tee "$report/report.md"
