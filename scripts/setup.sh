#!/usr/bin/env bash
# Installs missing Debian packages for building and testing, as root or with sudo.
set -euo pipefail

packages=(
    libgrpc-dev          # gRPC core: CGRPC
    libcurl4-openssl-dev # libcurl with OpenSSL: CCurl
    libssl-dev           # OpenSSL: COpenSSL
    libyaml-dev          # libyaml: CYAML
    protobuf-compiler    # scripts/generate.sh
    libprotobuf-dev      # scripts/generate.sh: imported .proto files
    libfaketime          # scripts/chaos.sh: skewed clocks
    ca-certificates      # scripts/image.sh: the image's certificates
    jq                   # scripts/image.sh: the image's descriptions
)
# For tests: kubectl, promtool and Lua, unless they are installed from elsewhere.
command -v kubectl >/dev/null || packages+=(kubernetes-client)
command -v curl >/dev/null || packages+=(curl)
command -v promtool >/dev/null || packages+=(prometheus)
command -v lua5.4 >/dev/null || packages+=(lua5.4)

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
    # Debian's package of promtool starts and enables a Prometheus server: RUNLEVEL=1 prevents that without systemd, and
    # a masked unit with it.
    if [[ " ${missing[*]} " == *" prometheus "* && -d /run/systemd/system ]]; then
        "${as_root[@]}" systemctl mask --quiet prometheus.service
    fi
    "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! command -v swift >/dev/null; then
    echo "setup.sh: swift is not on the PATH: install a Swift 6.3 toolchain, see swift.org/install" >&2
    exit 1
fi

minor=$(kubectl version --client --output=json | jq --raw-output '.clientVersion.minor | gsub("[^0-9]"; "")')
if [ "$minor" -lt 24 ]; then
    echo "setup.sh: kubectl 1.$minor, Debian 12's own, does not know all that the manifests use: put kubectl 1.24 or" \
        "newer on the PATH, see kubernetes.io/docs/tasks/tools; without it, tests of manifests and documentation fail" >&2
fi
