#!/usr/bin/env bash
# Runs the tests of what an operator applies and sees: the manifests, the health script for Argo CD, the status page in
# Chromium, the alerts in a real Prometheus, and the image, built twice. .ci/run leaves the last two out, because they
# take minutes and a build of their own. Run it as root before a release, and after a change of what one of them tests.
set -euo pipefail
cd "$(dirname "$0")/.."

# Without these, two of the tests would be skipped.
[ "$(id --user)" = 0 ] || { echo "release-test.sh: run it as root" >&2; exit 1; }
command -v chromium >/dev/null || { echo "release-test.sh: install Debian's package chromium" >&2; exit 1; }
scripts/setup.sh
scripts/manifests-test.sh
scripts/argocd-test.sh
scripts/page-test.sh
scripts/monitoring-test.sh
scripts/image.sh --test
