#!/usr/bin/env bash
# Opens the status page of the real monitor in a simulated cluster with headless Chromium. Succeeds only when a driver's
# hostile text is shown and does nothing, and when no content is wider than the screen at 400 and at 1400 pixels. Prints
# why it skips, and exits with 0, where there is no chromium.
#
#   scripts/page-test.sh [--binaries DIR] [--pictures DIR]
#
# --binaries: use csi-health-monitor and tools from this directory instead of building them. --pictures: write the page
# at both widths as PNG files into this directory.
set -euo pipefail
cd "$(dirname "$0")/.."

binaries= pictures=
while [ $# -gt 0 ]; do
    case "$1" in
        --binaries) binaries=$2 && shift 2 ;;
        --pictures) pictures=$2 && shift 2 ;;
        *)
            sed -n 's/^#   \(scripts.*\)/usage: \1/p' "$0" >&2
            exit 2
            ;;
    esac
done

if ! command -v chromium >/dev/null; then
    echo "page-test.sh: skipped: chromium is not on the PATH: install Debian's package chromium"
    exit 0
fi
scripts/setup.sh
if [ -z "$binaries" ]; then
    echo "Building (some minutes the first time) ..."
    swift build --quiet --product tools
    swift build --quiet --product csi-health-monitor
    binaries=$(swift build --show-bin-path)
fi

directory=$(mktemp -d)
cluster_pid= monitor_pid=
cleanup() {
    status=$?
    for pid in $monitor_pid $cluster_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
    if [ "$status" != 0 ]; then
        echo "page-test.sh: failed; the last lines of the logs:" >&2
        tail -n 5 "$directory"/*.log >&2 || true
    fi
    rm -rf "$directory"
}
trap cleanup EXIT

fail() {
    echo "page-test.sh: $1" >&2
    exit 1
}
# until_true SECONDS WHAT COMMAND...: repeats the command until it succeeds, or fails after SECONDS.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "no $what"
        sleep 0.2
    done
}
# browser OPTION... URL: without its sandbox as root and in containers, where it has none.
browser() {
    timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
        --user-data-dir="$directory/profile" "$@" 2>>"$directory/chromium.log"
}
# dom URL: the page after its scripts, if it has any, have run.
dom() { browser --dump-dom "$1"; }

# --- A leader with three unhealthy volumes, after a failed call ---

# The cluster reads commands from this pipe, which it holds open itself.
mkfifo "$directory/commands"
"$binaries/tools" cluster --directory "$directory" --driver-generation health --volumes 20 --control \
    0<>"$directory/commands" >"$directory/cluster.log" 2>&1 &
cluster_pid=$!
until_true 60 "simulated cluster" test -e "$directory/ready"
# set_health HANDLE STATUS REASON
set_health() {
    jq --null-input --arg status "$2" --arg reason "$3" '{status: $status, reason: $reason}' \
        >"$directory/volumes/$1.health"
}
set_health 47f67155-a1b9-11eb-8b74-0242ac110003 DataLoss BadBlocks
set_health volume-3 Degraded SlowIO
set_health volume-12 Inaccessible PathsDown
"$binaries/csi-health-monitor" --csi-address="$directory/csi.sock" --kubeconfig="$directory/kubeconfig" \
    --leader-election --leader-election-namespace=default --list-volumes-interval=1s \
    --http-endpoint=127.0.0.1:0 >"$directory/monitor.log" 2>&1 &
monitor_pid=$!
# The system has chosen the port.
listens() {
    address=$(sed -n 's/.*"Serving HTTP".* address="\([^"]*\)".*/\1/p' "$directory/monitor.log")
    [ -n "$address" ]
}
until_true 60 "address of the monitor" listens
url=http://$address
# shows TEXT: not a pipe, which would fail when grep ends before curl has written everything.
shows() { grep --quiet --fixed-strings -e "$1" <<<"$(curl --silent "$url/")"; }
shows_no_problem() { shows "<title>" && ! shows "<h2>Problems</h2>"; }
until_true 60 "unhealthy volumes on the page" shows "3 of 20 volumes are unhealthy"
echo "fault driver/internal" >"$directory/commands"
until_true 60 "failed call on the page" shows "backend lost"
echo "end driver/internal" >"$directory/commands"
until_true 60 "end of the problem on the page" shows_no_problem
shows "<h2>Recent errors</h2>" || fail "the page has no recent errors"

# --- It fits ---

# width WIDTH: how wide the content is on a screen of this width, measured in a copy of the page in a frame, because a
# window has a minimal width, and because the page itself allows no script and no frame.
width() {
    curl --silent "$url/" >"$directory/page.html"
    cat >"$directory/frame.html" <<HTML
<iframe id="frame" style="width: $1px; height: 900px; border: 0" src="page.html"></iframe>
<script>
addEventListener("load", () => {
    document.title = "width " + document.getElementById("frame").contentDocument.documentElement.scrollWidth;
});
</script>
HTML
    browser --allow-file-access-from-files --window-size=1600,1000 --dump-dom "file://$directory/frame.html" |
        sed -n 's/.*<title>width \([0-9]*\)<.*/\1/p'
}
for size in 400 1400; do
    measured=$(width $size)
    [ "$measured" = $size ] || fail "at $size pixels the content is ${measured:-of unknown width} wide"
    echo "At $size pixels the content fits."
done

if [ -n "$pictures" ]; then
    mkdir -p "$pictures"
    browser --window-size=1400,900 --screenshot="$pictures/status-page-1400.png" "$url/"
    # In a frame as above; the picture is narrower than the window.
    echo '<body style="margin: 0"><iframe style="width: 400px; height: 1950px; border: 0" src="page.html"></iframe>' \
        >"$directory/narrow.html"
    browser --allow-file-access-from-files --window-size=400,1950 --screenshot="$pictures/status-page-400.png" \
        "file://$directory/narrow.html"
    browser --window-size=1400,900 --blink-settings=preferredColorScheme=0 \
        --screenshot="$pictures/status-page-dark.png" "$url/"
fi

# --- A hostile text ---

payload='<img src=x onerror="document.title=`changed`"><script>document.title=`changed`</script>'
# It changes a page that does not escape it: the browser runs scripts.
echo "<title>unchanged</title><p>$payload" >"$directory/unsafe.html"
grep --quiet '<title>changed</title>' <<<"$(dom "file://$directory/unsafe.html")" || fail "the browser ran no script"

set_health volume-3 Degraded "$payload"
until_true 60 "hostile reason on the page" shows '&lt;script&gt;'
dom "$url/" >"$directory/dom.html"
grep --quiet '<title>csi-health-monitor: hostpath.csi.k8s.io</title>' "$directory/dom.html" || fail "the title has changed"
if grep --quiet -e '<script' -e '<img' "$directory/dom.html"; then fail "the hostile text has become an element"; fi
grep --quiet --fixed-strings '&lt;script&gt;document.title=`changed`&lt;/script&gt;' "$directory/dom.html" ||
    fail "the hostile text is not shown"
[ "$(width 400)" = 400 ] || fail "at 400 pixels the content is wider with a long reason"
echo "A hostile reason is shown and does nothing."
