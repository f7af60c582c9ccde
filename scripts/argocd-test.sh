#!/usr/bin/env bash
# Tests the health check for Argo CD in Lua.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
exec lua5.4 manifests/argocd/health-test.lua
