#!/usr/bin/env bash
# The checks that need no test: format, imports as designed, generated code up to date. Warnings are errors in
# Package.swift already.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

# check "WHAT" COMMAND...: the command prints nothing and succeeds when all is well.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok: $what"
    else
        echo "FAILED: $what"
        printf '%s\n' "$output" | sed 's/^/    /'
        failed=1
    fi
}

nowhere() {
    ! grep --recursive --line-number --extended-regexp "$@"
}

# only_in MODULE C_MODULE: nobody else imports it.
only_in() {
    ! grep --recursive --files-with-matches --extended-regexp "^ *((public|package|internal) )?import $2\$" Sources Tests |
        grep --invert-match "^Sources/$1/"
}

# only_imports MODULE REGEX: it imports no other module.
only_imports() {
    ! grep --recursive --extended-regexp '^ *((public|package|internal) )?import ' "Sources/$1" |
        grep --invert-match --extended-regexp "import ($2)\$"
}

has_header() {
    local file bad=0
    while IFS= read -r file; do
        if [ "$(head -n 1 "$file")" != "// SPDX-License-Identifier: Apache-2.0" ]; then
            echo "$file: no licence header"
            bad=1
        fi
    done < <(find Sources Tests -name '*.swift' -not -path '*/Generated/*')
    return $bad
}

# What ships: everything but the test kit, the simulated cluster, the fuzz targets and the tests.
shipped=(Sources/CSIClient Sources/Diagnostics Sources/Flags Sources/GRPCTransport Sources/HTTPTransport Sources/ControllerMonitor Sources/HealthRuntime
    Sources/KubernetesClient Sources/LeaderElection Sources/CompactStorage Sources/ControllerCore Sources/HealthCore Sources/csi-health-monitor)

check "format" swift format lint --strict --recursive Package.swift Sources Tests
check "licence headers" has_header
check "CGRPC is imported by GRPCTransport only" only_in GRPCTransport CGRPC
check "CCurl is imported by HTTPTransport only" only_in HTTPTransport CCurl
check "COpenSSL is imported by HTTPTransport only" only_in HTTPTransport COpenSSL
check "CYAML is imported by KubernetesClient only" only_in KubernetesClient CYAML
check "CompactStorage imports nothing" nowhere '^ *((public|package|internal) )?import ' Sources/CompactStorage
check "HealthCore imports nothing but Heap" only_imports HealthCore HeapModule
check "ControllerCore imports the pure modules alone" only_imports ControllerCore 'CompactStorage|HealthCore'
check "nothing that ships imports all of Foundation" nowhere '^ *((public|package|internal) )?import Foundation$' "${shipped[@]}"
check "no force try and no sleep in tests" nowhere 'try!|Task\.sleep|usleep\(|Thread\.sleep' Sources Tests --include='*.swift' \
    --exclude-dir=Generated
check "imports are declared dependencies" swift build --build-tests --explicit-target-dependency-import-check error --quiet
check "generated code is up to date" scripts/generate.sh --check
exit $failed
