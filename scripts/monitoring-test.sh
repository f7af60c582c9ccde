#!/usr/bin/env bash
# Runs the alerts and the dashboard's queries of manifests/monitoring in a real Prometheus that scrapes the real monitor
# and the real agent in simulated clusters, with shorter times. Succeeds only when every alert that faults can raise
# fires, and resolves after the fault; when those of the volumes hold through a failover without resolving or firing
# again; and when every query has returned data.
#
#   scripts/monitoring-test.sh [--binaries DIR] [--picture FILE] [--keep]
#   scripts/monitoring-test.sh --write
#
# --binaries: use csi-health-monitor and tools from this directory instead of building them. --picture: draw the
# dashboard's panels into this PNG file, from the same queries (requires Debian's python3-matplotlib). --keep: leave the
# files in their directory. --write: make prometheus-rule.yaml from rules.yaml, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
monitoring=manifests/monitoring

write_prometheus_rule() {
    cat <<'HEAD'
# The groups of rules.yaml for the Prometheus operator. scripts/monitoring-test.sh --write makes this file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: csi-health-monitor
spec:
HEAD
    sed -n '/^groups:/,$p' $monitoring/rules.yaml | sed 's/^\(.\)/  \1/'
}

binaries= picture= keep=
while [ $# -gt 0 ]; do
    case "$1" in
        --binaries) binaries=$2 && shift 2 ;;
        --picture) picture=$2 && shift 2 ;;
        --keep) keep=yes && shift ;;
        --write)
            write_prometheus_rule >$monitoring/prometheus-rule.yaml
            exit
            ;;
        *)
            sed -n 's/^#   \(scripts.*\)/usage: \1/p' "$0" >&2
            exit 2
            ;;
    esac
done

scripts/setup.sh
if [ -z "$binaries" ]; then
    echo "Building (some minutes the first time) ..."
    swift build --quiet --product tools
    swift build --quiet --product csi-health-monitor
    binaries=$(swift build --show-bin-path)
fi

directory=$(mktemp -d)
declare -A pids=()
cleanup() {
    status=$?
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
    if [ "$status" != 0 ]; then
        echo "monitoring-test.sh: failed; the last lines of the logs:" >&2
        tail -n 5 "$directory"/*.log "$directory"/*/cluster.log >&2 || true
    fi
    if [ -n "$keep" ]; then echo "Files: $directory"; else rm -rf "$directory"; fi
}
trap cleanup EXIT

fail() {
    echo "monitoring-test.sh: $1" >&2
    exit 1
}

# until_true SECONDS WHAT COMMAND...: repeats the command until it succeeds, or fails after SECONDS.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "no $what"
        sleep 0.5
    done
}

# A port on 127.0.0.1 that nothing listens on.
port=$((20000 + RANDOM % 10000))
next_port() {
    port=$((port + 1))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
}

# cluster NAME OPTION...: starts a simulated cluster with 20 volumes; control NAME COMMAND sends it a command.
cluster() {
    local name=$1
    shift
    mkdir "$directory/$name"
    mkfifo "$directory/$name/control"
    "$binaries/tools" cluster --directory "$directory/$name" --volumes 20 --control "$@" \
        <"$directory/$name/control" >"$directory/$name/cluster.log" 2>&1 &
    pids[$name]=$!
    exec {control}>"$directory/$name/control"
    controls[$name]=$control
    until_true 20 "simulated cluster $name" test -e "$directory/$name/ready"
}
declare -A controls=()
control() {
    echo "${*:2}" >&"${controls[$1]}"
}

# replica NAME CLUSTER: starts a replica of the monitor.
declare -A ports=()
replica() {
    local name=$1 root=$directory/$2
    [ -n "${ports[$name]-}" ] || {
        next_port
        ports[$name]=$port
    }
    POD_NAME=$name "$binaries/csi-health-monitor" --csi-address="$root/csi.sock" --kubeconfig="$root/kubeconfig" \
        --leader-election --leader-election-namespace=default --list-volumes-interval=1s --monitor-interval=1s \
        --http-endpoint="127.0.0.1:${ports[$name]}" --v=2 >>"$directory/$name.log" 2>&1 &
    pids[$name]=$!
}

# agent CLUSTER: starts the agent on the cluster's node.
agent() {
    next_port
    ports[agent]=$port
    NODE_NAME=minikube "$binaries/csi-health-monitor" agent --all-drivers --kubelet-root-path="$directory/$1/kubelet" \
        --kubeconfig="$directory/$1/kubeconfig" --monitor-interval=1s --timeout=1s --node-events \
        --http-endpoint="127.0.0.1:$port" --v=2 >>"$directory/agent.log" 2>&1 &
    pids[agent]=$!
}

# stop NAME SIGNAL
stop() {
    kill "-$2" "${pids[$1]}"
    wait "${pids[$1]}" 2>/dev/null || true
    unset "pids[$1]"
}

# get PATH PARAMETER...: a request to Prometheus.
get() {
    local path=$1 parameters=()
    shift
    for parameter in "$@"; do parameters+=(--data-urlencode "$parameter"); done
    curl --silent --fail-with-body --max-time 10 --get "$prometheus/api/v1/$path" "${parameters[@]}"
}
# value EXPRESSION: the values of its series now.
value() {
    get query "query=$1" | jq --raw-output '.data.result[].value[1]'
}
is() {
    [ "$(value "$1")" = "$2" ]
}
has_data() {
    [ -n "$(value "$1")" ]
}
has_no_data() {
    [ -z "$(value "$1")" ]
}
# history EXPRESSION: its series since the start, one sample a second.
history() {
    get query_range "query=$1" "start=$start" "end=$(date +%s)" step=1
}

# fires ALERT MATCHERS, resolves ALERT MATCHERS
fires() {
    until_true 60 "firing alert $1" has_data "ALERTS{alertstate=\"firing\",alertname=\"$1\"${2:+,$2}}"
    echo "$1 fires${2:+ ($2)}"
}
resolves() {
    until_true 120 "end of the alert $1" has_no_data "ALERTS{alertname=\"$1\"${2:+,$2}}"
    echo "$1 has resolved${2:+ ($2)}"
}

# How often an alert became active since the start, and how often it began to fire.
activations() {
    history "ALERTS_FOR_STATE{alertname=\"$1\",$2}" | jq '[.data.result[].values[][1]] | unique | length'
}
firings() {
    history "ALERTS{alertstate=\"firing\",alertname=\"$1\",$2}" |
        jq '[.data.result[].values[][0]] | sort | [[0] + .[:-1], .] | transpose | map(select(.[1] > .[0] + 1)) | length'
}

# The volumes of the first cluster are listed, those of the second are probed one by one, and the third is a node.
cluster list --driver-generation health --driver-name list.csi.example.com
cluster get --driver-generation legacy --driver-name get.csi.example.com --no-lists
cluster node --side node --driver-generation health --driver-name node.csi.example.com
replica list-0 list
replica list-1 list
replica get-0 get
agent node

# Times are shorter, and everything else is as in the file.
sed --regexp-extended -e 's/^( *for:) .*/\1 3s/' -e 's/\[[35]m\]/[45s]/' -e 's/\[1h\]/[2m]/' -e 's/\[15m\]/[20s]/' \
    -e 's/offset 1h/offset 2m/' -e 's/\[6h\]/[15m]/' -e 's/> (120|300)$/> 8/' -e 's/\+ 120$/+ 5/' \
    $monitoring/rules.yaml >"$directory/rules.yaml"
# What the same alert does without a range: the failover below must be one that it does not survive.
cat >>"$directory/rules.yaml" <<'RULE'
  - name: control
    rules:
      - {alert: WithoutRange, expr: 'csi_volume_health_claim_status{status="Inaccessible"} == 1', for: 3s}
RULE
next_port
prometheus=http://127.0.0.1:$port
cat >"$directory/prometheus.yaml" <<CONFIGURATION
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [$directory/rules.yaml]
scrape_configs:
  - job_name: csi-health-monitor
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:${ports[list-0]}", "127.0.0.1:${ports[list-1]}", "127.0.0.1:${ports[get-0]}"]
      - targets: ["127.0.0.1:${ports[agent]}"]
        labels: {node: minikube}
CONFIGURATION
start=$(date +%s)
prometheus --config.file="$directory/prometheus.yaml" --storage.tsdb.path="$directory/data" \
    --web.listen-address="127.0.0.1:$port" >"$directory/prometheus.log" 2>&1 &
pids[prometheus]=$!
until_true 30 "response of Prometheus" get query query=1 >"$directory/response"
until_true 60 "leader of each driver" is 'sum(csi_volume_health_leader)' 2
until_true 60 "sweep of each driver" is 'count(csi_volume_health_last_sweep_timestamp_seconds)' 3

echo "== Two volumes break"
volume() {
    KUBECONFIG=$directory/$1/kubeconfig kubectl get persistentvolumes \
        --output "jsonpath={.items[$2].spec.csi.volumeHandle}"
}
one=$directory/list/volumes/$(volume list 0).health two=$directory/list/volumes/$(volume list 1).health
echo '{"status": "INACCESSIBLE", "reason": "ArrayDown", "message": "no path"}' >"$one"
echo '{"status": "DATA_LOSS", "reason": "BadBlocks", "message": "7 blocks cannot be read"}' >"$two"
fires VolumeUnhealthy 'status="Inaccessible"'
fires VolumeDataLoss 'status="DataLoss"'
fires WithoutRange 'status="Inaccessible"'

echo "== The leader is killed"
leader=list-0
is "csi_volume_health_leader{instance=\"127.0.0.1:${ports[list-0]}\"}" 1 || leader=list-1
stop $leader KILL
until_true 60 "gap in the series of the claims" has_no_data 'csi_volume_health_claim_status'
until_true 60 "claims of the next leader" is 'count(csi_volume_health_claim_status)' 2
fires WithoutRange 'status="Inaccessible"'
replica $leader list

echo "== The volumes recover"
rm "$one" "$two"
resolves VolumeUnhealthy 'status="Inaccessible"'
resolves VolumeDataLoss 'status="DataLoss"'
for alert in 'VolumeUnhealthy status="Inaccessible"' 'VolumeDataLoss status="DataLoss"'; do
    read -r name matchers <<<"$alert"
    activated=$(activations "$name" "$matchers") fired=$(firings "$name" "$matchers")
    [ "$activated,$fired" = 1,1 ] || fail "$name became active $activated times and fired $fired times, expected once"
    echo "$name was active once and fired once, through the failover"
done
activated=$(activations WithoutRange 'status="Inaccessible"')
[ "$activated" -gt 1 ] || fail "an alert without a range survived the failover: the test proves nothing"
echo "The same alert without a range became active $activated times"

echo "== Many volumes break together"
# More than the threshold, within one list.
for number in $(seq 0 7); do volume list "$number" && echo; done >"$directory/handles"
while read -r handle; do
    echo '{"status": "INACCESSIBLE", "reason": "ArrayDown", "message": "no path"}' \
        >"$directory/list/volumes/$handle.health"
done <"$directory/handles"
fires DriverOutage 'driver_name="list.csi.example.com"'
rm "$directory"/list/volumes/*.health
resolves DriverOutage 'driver_name="list.csi.example.com"'

echo "== Volumes and storage break on a node"
mount=$directory/node/volumes/volume-1.node.health
echo '{"status": "INACCESSIBLE", "reason": "MountDisconnected", "message": "The server does not respond"}' >"$mount"
control node storage STORAGE_DEGRADED PathsDown 2 of 4 paths respond
control node hang 1
fires NodeVolumeUnhealthy 'node="minikube",status="Inaccessible"'
fires NodeStorageDegraded 'node="minikube",reason="PathsDown"'
fires NodeVolumeUnanswered 'node="minikube"'
control node hang
fires NodeDriverHanging 'node="minikube"'
rm "$mount"
control node storage
control node mount

echo "== An object cannot be decoded"
in_cluster() {
    kubectl --kubeconfig "$directory/$1/kubeconfig" "${@:2}"
}
in_cluster list create --filename - >/dev/null <<VOLUME
apiVersion: v1
kind: PersistentVolume
metadata: {name: undecodable}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  csi: {driver: list.csi.example.com, volumeHandle: $(printf 'x%.0s' $(seq 4097))}
VOLUME
fires UndecodableObjects 'resource="persistentvolumes"'
in_cluster list delete persistentvolume --wait=false undecodable >/dev/null

echo "== Volumes are no longer found"
# Eight claims whose volumes the driver does not have: more than may be reported missing at once.
for number in $(seq 8); do
    in_cluster get create --filename - >/dev/null <<CLAIM
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: lost-$number, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, volumeName: lost-$number}
CLAIM
    uid=$(in_cluster get get persistentvolumeclaim "lost-$number" --namespace default \
        --output 'jsonpath={.metadata.uid}')
    in_cluster get create --filename - >/dev/null <<VOLUME
apiVersion: v1
kind: PersistentVolume
metadata: {name: lost-$number}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  persistentVolumeReclaimPolicy: Delete
  csi: {driver: get.csi.example.com, volumeHandle: lost-$number}
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: default, name: lost-$number, uid: $uid}
VOLUME
    for kind in persistentvolume persistentvolumeclaim; do
        in_cluster get patch "$kind" "lost-$number" --namespace default --subresource status --type merge \
            --patch '{"status": {"phase": "Bound"}}' >/dev/null
    done
done
fires AbsenceSuspected 'driver_name="get.csi.example.com"'
in_cluster get delete persistentvolumeclaim --namespace default --wait=false lost-{1..8} >/dev/null
in_cluster get delete persistentvolume --wait=false lost-{1..8} >/dev/null
resolves AbsenceSuspected 'driver_name="get.csi.example.com"'

echo "== Events are refused"
control list fault api-server/forbidden-events
echo '{"status": "DEGRADED", "reason": "Slow", "message": "200 ms"}' >"$one"
fires ReportQueueStuck 'queue="events"'
control list end api-server/forbidden-events
resolves ReportQueueStuck 'queue="events"'

echo "== The API server drops the health status"
control list fault api-server/status-field-dropped
mv "$one" "$two"
fires StatusUnsupported 'driver_name="list.csi.example.com"'
# The monitor finds that out later, by another try on the unhealthy claim.
control list end api-server/status-field-dropped

echo "== The calls for health fail"
control get fault driver/internal
fires MonitorBlind 'driver_name="get.csi.example.com"'
fires MonitorNotReady 'driver_name="get.csi.example.com"'
until_true 90 "lease that was released without sight" has_data csi_volume_health_step_downs_total
control get end driver/internal
resolves MonitorBlind 'driver_name="get.csi.example.com"'
resolves MonitorNotReady 'driver_name="get.csi.example.com"'

echo "== The driver ends"
control get fault driver/killed-in-page
fires DriverDisconnected 'driver_name="get.csi.example.com"'
control get end driver/killed-in-page
resolves DriverDisconnected 'driver_name="get.csi.example.com"'

echo "== All replicas of a driver end"
stop get-0 KILL
fires NoLeader 'driver_name="get.csi.example.com"'
replica get-0 get
resolves NoLeader 'driver_name="get.csi.example.com"'
resolves StatusUnsupported 'driver_name="list.csi.example.com"'

# Their ranges have ended meanwhile.
resolves UndecodableObjects 'resource="persistentvolumes"'
for alert in VolumeUnhealthy StorageDegraded VolumeUnanswered DriverHanging; do
    resolves "Node$alert" 'node="minikube"'
done

echo "== All calls on a node fail"
control node fault driver/internal
fires NodeDriverFailing 'node="minikube"'
control node end driver/internal
resolves NodeDriverFailing 'node="minikube"'

echo "== The agent stands still"
kill -STOP "${pids[agent]}"
fires NodeMonitorBlind 'node="minikube"'
kill -CONT "${pids[agent]}"
resolves NodeMonitorBlind 'node="minikube"'

echo "== Queries"
# What faults of the simulated clusters cannot raise. The unit tests of the alerts have these.
declare -A without_data=(
    [DriverUnsupported]="a simulated driver always reports health"
)
# query NAME EXPRESSION: it has returned data at some time, unless it is an exception.
queries=0
query() {
    local series
    series=$(history "$2" | jq '.data.result | length') || fail "the query of $1 failed: $2"
    if [ -n "${without_data[$1]-}" ]; then
        [ "$series" = 0 ] || fail "the query of $1 has data: remove it from the exceptions"
    else
        [ "$series" != 0 ] || fail "the query of $1 never had data: $2"
        queries=$((queries + 1))
    fi
}
# A list that cannot be made ends the script, which a process substitution does not.
list=$(get rules | jq --raw-output '.data.groups[].rules[] | [.name, .query] | @tsv' | sed 's/\\n/ /g')
while IFS=$'\t' read -r name expression; do
    query "$name" "$expression"
done <<<"$list"
# The variables of the dashboard have all values.
list=$(jq --raw-output '(.panels[] | .title as $title | .targets[]? | [$title, .expr]),
    (.annotations.list[] | select(.expr) | [.name, .expr]) | @tsv' $monitoring/dashboard.json |
    sed -e 's/\$\(cluster\|job\|driver\)\b/.*/g' -e 's/\$__rate_interval/20s/g' -e 's/offset 1m/offset 10s/g')
while IFS=$'\t' read -r name expression; do
    query "$name" "$expression"
done <<<"$list"
echo "$queries queries have returned data; not: ${!without_data[*]}"

if [ -n "$picture" ]; then
    /usr/bin/python3 scripts/tools/dashboard-picture.py "$prometheus" "$start" "$(date +%s)" "$picture"
    echo "Picture: $picture"
fi
echo "All alerts that faults can raise fired and resolved."
