#!/usr/bin/env bash
# Generates the Swift code of Protos/. With --check, changes nothing and fails when the committed code differs.
#
# Requires Debian's protobuf-compiler and libprotobuf-dev. The Swift plug-in is built from this package's
# swift-protobuf.
set -euo pipefail
cd "$(dirname "$0")/.."

destination=Sources
if [ "${1:-}" = "--check" ]; then
    destination=$(mktemp -d)
    trap 'rm -rf "$destination"' EXIT
    mkdir -p "$destination/CSISpec/Generated" "$destination/KubernetesAPI/Generated"
fi

swift build --scratch-path .build-generate --product protoc-gen-swift
plugin=$(swift build --scratch-path .build-generate --show-bin-path)/protoc-gen-swift

# generate MODULE PROTO...
generate() {
    local module=$1
    shift
    mkdir -p "$destination/$module/Generated"
    protoc --proto_path=Protos --plugin=protoc-gen-swift="$plugin" \
        --swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true --swift_opt=FileNaming=DropPath \
        --swift_out="$destination/$module/Generated" "$@"
}
generate CSISpec csi/csi.proto
generate KubernetesAPI kubernetes/meta.proto kubernetes/core.proto kubernetes/coordination.proto \
    kubernetes/pluginregistration.proto

if [ "$destination" != Sources ]; then
    for module in CSISpec KubernetesAPI; do
        if ! diff -r "Sources/$module/Generated" "$destination/$module/Generated"; then
            echo "generate.sh: Sources/$module/Generated is out of date: run scripts/generate.sh and commit" >&2
            exit 1
        fi
    done
fi
