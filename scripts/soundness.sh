#!/usr/bin/env bash
# Checks format, licence headers, imports and generated code. Warnings are errors by Package.swift.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

# check "WHAT" COMMAND...: runs a command, and prints its output when it fails.
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

# nowhere GREP-ARGUMENTS...: succeeds when grep finds nothing.
nowhere() {
    found_nothing grep --recursive --line-number --extended-regexp "$@"
}

# found_nothing COMMAND...: runs grep, and succeeds when it finds nothing; not when it fails, for example because a
# directory was renamed.
found_nothing() {
    local status=0
    "$@" || status=$?
    [ "$status" = 1 ]
}

# only_in MODULE C_MODULE: succeeds when no other module imports C_MODULE; MODULE is an extended regular expression.
only_in() {
    local files
    files=$(grep --recursive --files-with-matches --extended-regexp "^ *((public|package|internal) )?import $2\$" \
        Sources Tests scripts/tools) || return
    found_nothing grep --invert-match --extended-regexp "^Sources/$1/" <<<"$files"
}

# only_imports MODULE REGEX: it imports no other module.
only_imports() {
    local imports status=0
    imports=$(grep --recursive --extended-regexp '^ *((public|package|internal) )?import ' "Sources/$1") || status=$?
    # It may import nothing.
    [ "$status" = 1 ] && return
    [ "$status" = 0 ] && found_nothing grep --invert-match --extended-regexp "import ($2)\$" <<<"$imports"
}

has_header() {
    local file bad=0
    while IFS= read -r file; do
        if [ "$(head -n 1 "$file")" != "// SPDX-License-Identifier: Apache-2.0" ]; then
            echo "$file: no licence header"
            bad=1
        fi
    done < <(find Sources Tests scripts/tools -name '*.swift' -not -path '*/Generated/*')
    return $bad
}

check "format" swift format lint --strict --recursive Package.swift Sources Tests scripts/tools
check "licence headers" has_header
check "CGRPC is imported by GRPCTransport and the test kit only" only_in '(GRPCTransport|HealthMonitorTestKit)' CGRPC
check "CCurl is imported by HTTPTransport only" only_in HTTPTransport CCurl
check "COpenSSL is imported by HTTPTransport and Digests only" only_in '(HTTPTransport|Digests)' COpenSSL
check "CYAML is imported by KubernetesClient only" only_in KubernetesClient CYAML
check "CompactStorage imports nothing" nowhere '^ *((public|package|internal) )?import ' Sources/CompactStorage
check "HealthCore imports only HeapModule" only_imports HealthCore HeapModule
check "ControllerCore imports only pure modules" only_imports ControllerCore 'CompactStorage|HealthCore'
check "NodeCore imports only pure modules" only_imports NodeCore 'Digests|HealthCore'
check "KubeletPlugins does not import CSIClient" nowhere 'import CSIClient' Sources/KubeletPlugins
check "nothing that ships imports all of Foundation" \
    nowhere '^ *((public|package|internal) )?import Foundation$' Sources --exclude-dir=HealthMonitorTestKit --exclude-dir=Generated
check "no force try and no sleep in tests" \
    nowhere 'try!|Task\.sleep|usleep\(|Thread\.sleep' Sources Tests scripts/tools --include='*.swift' --exclude-dir=Generated
check "imports are declared dependencies" swift build --build-tests --explicit-target-dependency-import-check error --quiet
check "generated code is up to date" scripts/generate.sh --check
exit $failed
