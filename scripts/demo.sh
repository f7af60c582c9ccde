#!/usr/bin/env bash
# Shows with kubectl how a volume becomes unhealthy and recovers. The cluster and the CSI driver are simulated, the
# monitor is real. Succeeds only when the API server has the expected events.
#
# --driver=legacy (the default) simulates a driver with VolumeCondition, --driver=health one with the health RPCs of CSI
# 1.13. --keep leaves everything running and prints how to use it.
set -euo pipefail
cd "$(dirname "$0")/.."

keep= driver=legacy
for argument in "$@"; do
    case "$argument" in
        --keep) keep=yes ;;
        --driver=legacy | --driver=health) driver=${argument#*=} ;;
        *)
            echo "usage: scripts/demo.sh [--driver=legacy|health] [--keep]" >&2
            exit 2
            ;;
    esac
done

scripts/setup.sh
echo "Building (some minutes the first time) ..."
swift build --quiet --product tools
swift build --quiet --product csi-health-monitor
binaries=$(swift build --show-bin-path)

directory=$(mktemp -d)
cluster_pid= monitor_pid=
cleanup() {
    status=$?
    if [ -n "$keep" ] && [ "$status" = 0 ]; then return; fi
    for pid in $monitor_pid $cluster_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
    if [ "$status" != 0 ]; then
        echo "demo.sh: failed; the last lines of the logs:" >&2
        tail -n 5 "$directory"/*.log >&2 || true
    fi
    rm -rf "$directory"
}
trap cleanup EXIT

# until_true SECONDS WHAT COMMAND...: repeats the command until it succeeds, or fails after SECONDS.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            echo "demo.sh: no $what" >&2
            return 1
        fi
        sleep 0.2
    done
}

"$binaries/tools" cluster --directory "$directory" --driver-generation "$driver" >"$directory/cluster.log" 2>&1 &
cluster_pid=$!
until_true 20 "simulated cluster" test -e "$directory/ready"
export KUBECONFIG=$directory/kubeconfig

"$binaries/csi-health-monitor" --csi-address="$directory/csi.sock" --kubeconfig="$KUBECONFIG" --leader-election \
    --leader-election-namespace=default --list-volumes-interval=1s --http-endpoint=127.0.0.1:0 --v=4 \
    >"$directory/monitor.log" 2>&1 &
monitor_pid=$!
until_true 20 "list of volumes by the monitor" grep -q "Listed all volumes" "$directory/monitor.log"

# events REASON: prints type, message and count of the claim's events with this reason.
events() {
    kubectl get events --namespace default \
        --field-selector "involvedObject.kind=PersistentVolumeClaim,involvedObject.name=csi-pvc,reason=$1" \
        --output 'jsonpath={range .items[*]}{.type}|{.message}|{.count}{"\n"}{end}'
}
has_event() {
    [ "$(events "$1")" = "$2" ]
}
show() {
    echo
    echo "$1"
    echo '$ kubectl describe pvc csi-pvc'
    kubectl describe pvc csi-pvc | sed -n -e '/^Name:/p' -e '/^Status:/p' -e '/^Volume:/p' -e '/^Events:/,$p'
    echo "$ kubectl get pvc csi-pvc -o jsonpath='{.status.healthStatus}'"
    kubectl get pvc csi-pvc --output 'jsonpath={.status.healthStatus}'
    echo
}
# conditions: prints the health conditions in the claim's status.
conditions() {
    kubectl get pvc csi-pvc --namespace default \
        --output 'jsonpath={range .status.healthStatus.healthConditions[*]}{.status}|{.reason}|{.message}{"\n"}{end}'
}
has_conditions() {
    [ "$(conditions)" = "$1" ]
}

volume=$directory/volumes/47f67155-a1b9-11eb-8b74-0242ac110003
case "$driver" in
    legacy)
        breaking="Its backing directory is removed:"
        break_volume() { rmdir "$volume"; }
        mend_volume() { mkdir "$volume"; }
        by_hand="rmdir $volume"
        event="The source path of the volume doesn't exist"
        status="Degraded|VolumeConditionAbnormal|The source path of the volume doesn't exist"
        ;;
    health)
        breaking="The driver finds bad blocks:"
        marker='{"status": "DataLoss", "reason": "BadBlocks", "message": "7 blocks cannot be read"}'
        break_volume() { echo "$marker" >"$volume.health"; }
        mend_volume() { rm "$volume.health"; }
        by_hand="echo '$marker' >$volume.health"
        event="DataLoss (BadBlocks): 7 blocks cannot be read"
        status="DataLoss|BadBlocks|7 blocks cannot be read"
        ;;
esac
show "The volume is healthy:"

break_volume
until_true 20 "abnormal event" has_event VolumeConditionAbnormal "Warning|$event|1"
until_true 20 "condition in the claim's status" has_conditions "$status"
show "$breaking"

mend_volume
until_true 20 "recovery event" \
    has_event VolumeConditionNormal "Normal|The Volume returns to the healthy state|1"
until_true 20 "empty status" has_conditions ""
# Two more lists must not repeat the events.
sweeps=$(grep -c "Listed all volumes" "$directory/monitor.log")
more_sweeps() { [ "$(grep -c "Listed all volumes" "$directory/monitor.log")" -ge $((sweeps + 2)) ]; }
until_true 20 "further lists of volumes" more_sweeps
show "The volume has recovered:"
has_event VolumeConditionAbnormal "Warning|$event|1"
has_event VolumeConditionNormal "Normal|The Volume returns to the healthy state|1"

echo
if [ -n "$keep" ]; then
    echo "Left running; connect by:  export KUBECONFIG=$KUBECONFIG"
    echo "break the volume by:       $by_hand"
    echo "stop everything by:        kill $monitor_pid $cluster_pid"
else
    kill -TERM "$monitor_pid"
    wait "$monitor_pid"
    monitor_pid=
    echo "The monitor exited with 0 on SIGTERM and released the lease:"
    grep "Released lease" "$directory/monitor.log"
    echo "The API server has each of the two events once."
fi
