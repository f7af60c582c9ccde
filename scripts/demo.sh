#!/usr/bin/env bash
# Shows with kubectl how a volume becomes unhealthy and recovers. The cluster and the CSI driver are simulated, the
# monitor is real. Succeeds only when the API server has the expected events.
#
# --side=controller (the default) plays the controller: events on the claim, and its status. --side=node plays the agent:
# a volume is unmounted under a running pod, and there are events on the pod. Where it is allowed, volumes are mounted in
# a mount namespace of the demo's own, and the driver looks at the mounts.
#
# --driver=legacy (the default) simulates a driver with VolumeCondition, --driver=health one with the health RPCs of CSI
# 1.13. --keep leaves everything running and prints how to use it.
set -euo pipefail
cd "$(dirname "$0")/.."

keep= side=controller driver=legacy
for argument in "$@"; do
    case "$argument" in
        --keep) keep=yes ;;
        --side=controller | --side=node) side=${argument#*=} ;;
        --driver=legacy | --driver=health) driver=${argument#*=} ;;
        *)
            echo "usage: scripts/demo.sh [--side=controller|node] [--driver=legacy|health] [--keep]" >&2
            exit 2
            ;;
    esac
done

# Runs this script again in a mount namespace, in which nothing that it mounts is seen elsewhere.
if [ "$side/$driver" = node/legacy ] && [ -z "${DEMO_MOUNTS-}" ]; then
    if unshare --mount true 2>/dev/null; then
        DEMO_MOUNTS=yes exec unshare --mount scripts/demo.sh "$@"
    fi
    echo "Nothing can be mounted here (unshare --mount is not permitted): the driver only says what is mounted."
fi

scripts/setup.sh
echo "Building (some minutes the first time) ..."
# On a terminal, SwiftPM shows its progress in one line.
quiet=(--quiet)
[ ! -t 1 ] || quiet=()
for product in tools csi-health-monitor; do swift build "${quiet[@]}" --product "$product"; done
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

# kubectl finds its plugins by their file names.
mkdir "$directory/bin"
ln -s "$binaries/csi-health-monitor" "$directory/bin/kubectl-volume_health"
export PATH=$directory/bin:$PATH

# The cluster reads commands from this pipe, which it holds open itself.
commands=$directory/commands
mkfifo "$commands"
start_cluster() {
    "$binaries/tools" cluster --directory "$directory" --driver-generation "$driver" --control "$@" \
        0<>"$commands" >"$directory/cluster.log" 2>&1 &
    cluster_pid=$!
    until_true 20 "simulated cluster" test -e "$directory/ready"
    export KUBECONFIG=$directory/kubeconfig
}
# start_monitor [COMMAND] FLAGS...
start_monitor() {
    "$binaries/csi-health-monitor" "$@" --csi-address="$directory/csi.sock" --kubeconfig="$KUBECONFIG" \
        --http-endpoint=127.0.0.1:0 --v=4 >"$directory/monitor.log" 2>&1 &
    monitor_pid=$!
}

# events REASON: prints type, message and count of the events with this reason on the claim, or on the pod.
events() {
    kubectl get events --namespace default \
        --field-selector "involvedObject.kind=$kind,involvedObject.name=$name,reason=$1" \
        --output 'jsonpath={range .items[*]}{.type}|{.message}|{.count}{"\n"}{end}'
}
has_event() {
    [ "$(events "$1")" = "$2" ]
}
# has_probed COUNT: whether the monitor has probed the volumes this often.
has_probed() { [ "$(probes)" -ge "$1" ]; }

# --- The controller: the volume of a claim ---

controller_start() {
    start_cluster
    start_monitor --leader-election --leader-election-namespace=default --list-volumes-interval=1s
    kind=PersistentVolumeClaim name=csi-pvc prefix=
    volume=$directory/volumes/47f67155-a1b9-11eb-8b74-0242ac110003
    case "$driver" in
        legacy)
            breaking="Its backing directory is removed:"
            break_volume() { rmdir "$volume"; }
            mend_volume() { mkdir "$volume"; }
            by_hand="rmdir $volume"
            text="The source path of the volume doesn't exist"
            health="Degraded|VolumeConditionAbnormal|$text"
            ;;
        health)
            breaking="The driver finds bad blocks:"
            marker='{"status": "DataLoss", "reason": "BadBlocks", "message": "7 blocks cannot be read"}'
            break_volume() { echo "$marker" >"$volume.health"; }
            mend_volume() { rm "$volume.health"; }
            by_hand="echo '$marker' >$volume.health"
            text="DataLoss (BadBlocks): 7 blocks cannot be read"
            health="DataLoss|BadBlocks|7 blocks cannot be read"
            ;;
    esac
    probes() { grep -c "Listed all volumes" "$directory/monitor.log" || true; }
}
controller_show() {
    echo '$ kubectl describe pvc csi-pvc'
    kubectl describe pvc csi-pvc | sed -n -e '/^Name:/p' -e '/^Status:/p' -e '/^Volume:/p' -e '/^Events:/,$p'
    echo "$ kubectl get pvc csi-pvc -o jsonpath='{.status.healthStatus}'"
    kubectl get pvc csi-pvc --output 'jsonpath={.status.healthStatus}'
    echo
    echo '$ kubectl volume-health'
    kubectl volume-health
}
# controller_has_health CONDITIONS: whether the claim's status has these conditions.
controller_has_health() {
    [ "$(kubectl get pvc csi-pvc --namespace default --output \
        'jsonpath={range .status.healthStatus.healthConditions[*]}{.status}|{.reason}|{.message}{"\n"}{end}')" = "$1" ]
}
controller_stopped() {
    echo "The monitor exited with 0 on SIGTERM and released the lease:"
    grep "Released lease" "$directory/monitor.log"
}

# --- The node: the volume of a running pod ---

node_start() {
    start_cluster --side=node ${DEMO_MOUNTS:+--mounts}
    export NODE_NAME=minikube
    start_monitor agent --kubelet-root-path="$directory/kubelet" --monitor-interval=1s
    kind=Pod name=my-csi-app prefix="Volume my-csi-volume (claim csi-pvc): " health=
    local pv=pvc-63fd7293-c543-4c83-8f65-01aacb098ab3
    volume=$directory/volumes/47f67155-a1b9-11eb-8b74-0242ac110003
    mountpoint=$directory/kubelet/pods/0ed3b369-d5a6-4b99-b489-1bb651710c60/volumes/kubernetes.io~csi/$pv/mount
    text="The volume isn't mounted"
    breaking="The volume was unmounted under the running pod:"
    case "$driver/${DEMO_MOUNTS-}" in
        legacy/yes)
            break_volume() {
                run "mount | grep pvc"
                run "umount $mountpoint"
            }
            mend_volume() { run "mount --bind $volume $mountpoint"; }
            by_hand="nsenter --target $cluster_pid --mount umount $mountpoint"
            ;;
        legacy/)
            break_volume() { echo unmount >"$commands"; }
            mend_volume() { echo mount >"$commands"; }
            by_hand="echo unmount >$commands"
            ;;
        health/*)
            breaking="The driver finds that the volume's server is gone:"
            marker='{"status": "Inaccessible", "reason": "MountDisconnected", "message": "The server does not respond"}'
            break_volume() { echo "$marker" >"$volume.node.health"; }
            mend_volume() { rm "$volume.node.health"; }
            by_hand="echo '$marker' >$volume.node.health"
            text="Inaccessible (MountDisconnected): The server does not respond"
            ;;
    esac
    # The cluster counts the calls to the driver.
    probes() {
        local lines
        lines=$(wc -l <"$directory/cluster.log")
        echo calls >"$commands"
        until_true 20 "response of the cluster" has_more_lines "$directory/cluster.log" "$lines"
        tail -n 1 "$directory/cluster.log" | sed -n 's/.*"NodeGetVolume[A-Z][a-z]*": *\([0-9]*\).*/\1/p' | grep . || echo 0
    }
}
# run COMMAND: shows a command and runs it.
run() {
    printf '\n$ %s\n' "$1"
    bash -c "$1"
}
has_more_lines() { [ "$(wc -l <"$1")" -gt "$2" ]; }
node_show() {
    echo '$ kubectl describe pod my-csi-app'
    kubectl describe pod my-csi-app |
        sed -n -e '/^Name:/p' -e '/^Node:/p' -e '/^Status:/p' -e '/ClaimName:/p' -e '/^Events:/,$p'
    echo '$ kubectl volume-health'
    kubectl volume-health
}
node_has_health() { true; }  # only events
node_stopped() {
    echo "The agent exited with 0 on SIGTERM."
}

# --- The story, on either side ---

show() {
    echo
    echo "$1"
    "${side}_show"
}
"${side}_start"
recovery="Normal|${prefix}The Volume returns to the healthy state|1"
abnormal="Warning|$prefix$text|1"
until_true 20 "probe of the volumes by the monitor" has_probed 1
show "The volume is healthy:"

break_volume
until_true 30 "abnormal event" has_event VolumeConditionAbnormal "$abnormal"
until_true 20 "condition in the claim's status" "${side}_has_health" "$health"
show "$breaking"

mend_volume
until_true 30 "recovery event" has_event VolumeConditionNormal "$recovery"
until_true 20 "empty status" "${side}_has_health" ""
# Two more probes must not repeat the events.
until_true 20 "further probes of the volumes" has_probed $(($(probes) + 2))
show "The volume has recovered:"
has_event VolumeConditionAbnormal "$abnormal"
has_event VolumeConditionNormal "$recovery"

echo
if [ -n "$keep" ]; then
    echo "Left running; connect by:  export KUBECONFIG=$KUBECONFIG"
    echo "break the volume by:       $by_hand"
    sed -n 's|.*"Serving HTTP".* address="\([^"]*\)".*|metrics and health pages:   http://\1/|p' "$directory/monitor.log"
    echo "stop everything by:        kill $monitor_pid $cluster_pid"
else
    kill -TERM "$monitor_pid"
    wait "$monitor_pid"
    monitor_pid=
    "${side}_stopped"
    echo "The API server has each of the two events once."
fi
