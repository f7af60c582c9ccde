#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, where they are missing. Needs root or sudo for that.
set -euo pipefail

packages=(
    libgrpc-dev          # gRPC core: CGRPC
    libcurl4-openssl-dev # libcurl with OpenSSL: CCurl
    libssl-dev           # OpenSSL, which both of them link: COpenSSL
    libyaml-dev          # the kubeconfig: CYAML
    protobuf-compiler    # scripts/generate.sh
    libprotobuf-dev      # the .proto files that ours import
    libfaketime          # scripts/chaos.sh: clocks that differ
)
# Tools that may have come from elsewhere: kubectl plays the user, promtool reads the metrics.
command -v kubectl >/dev/null || packages+=(kubernetes-client)
command -v promtool >/dev/null || packages+=(prometheus)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "Installing Debian packages: ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    # RUNLEVEL=1: the prometheus package is for its promtool; no server is started.
    "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! command -v swift >/dev/null; then
    echo "setup.sh: no swift on the PATH: install a Swift 6.3 toolchain, see swift.org/install" >&2
    exit 1
fi
