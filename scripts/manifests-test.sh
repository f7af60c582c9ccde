#!/usr/bin/env bash
# Tests the manifests without a cluster: every kustomization renders, every object matches the schema of the Kubernetes
# API, the examples of components/sidecar change nothing else of a driver's workload, and drivers can be installed side
# by side: no two have an object in common, and each service account keeps its rights.
#
#   scripts/manifests-test.sh [DIRECTORY]
#   scripts/manifests-test.sh --write-schema FILE
#
# DIRECTORY: test these manifests instead of manifests/. --write-schema: make manifests/schema.json from FILE,
# Kubernetes' api/openapi-spec/swagger.json or the output of `kubectl get --raw /openapi/v2`, and nothing else. It has
# the types that the manifests use, now of Kubernetes 1.36, with all their fields; `!` marks a required field. A missing
# type is added under `types` as {}. The objects of the Prometheus operator's kinds ("any") are not checked.
set -euo pipefail
cd "$(dirname "$0")/.."
schema=scripts/manifests/schema.json

if [ "${1-}" = --write-schema ]; then
    jq --slurpfile old $schema --from-file scripts/manifests/schema.jq "$2" >$schema.new
    mv $schema.new $schema
    exit
fi

for tool in kubectl jq; do
    command -v $tool >/dev/null && continue
    echo "manifests-test.sh: $tool is not on the PATH: run scripts/setup.sh" >&2
    exit 1
done
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cp -r "${1:-manifests}" "$directory/manifests"
cd "$directory/manifests"
program=$OLDPWD/scripts/manifests/checks.jq schema=$OLDPWD/$schema

# Kustomizations that exist for this test alone: two drivers in one namespace, and components that no example has.
kustomization() { # NAME
    mkdir -p "test/$1"
    cat >"test/$1/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: drivers
namePrefix: $1-
resources: [../../base/rbac]
components:
  - ../../components/node-watcher
  - ../../components/node-deployment
  - ../../components/volume-secrets
  - ../../components/service-monitor
patches:
  - target: {kind: ClusterRoleBinding|RoleBinding}
    patch: |-
      - op: replace
        path: /subjects/0
        value: {kind: ServiceAccount, name: $1-controller, namespace: drivers}
END
}
kustomization first
kustomization second

# Prints a kustomization, or a file that the checks compare with one, after a line that has its path.
render() {
    local rendered
    if ! rendered=$(if [ -d "$1" ]; then kubectl kustomize "$1"; else cat "$1"; fi); then
        echo "$1 does not render" >&2
        return 1
    fi
    printf -- '---\n{apiVersion: test/v1, kind: Rendered, metadata: {name: rendered}, path: %s}\n' "$1"
    printf -- '---\n%s\n' "$rendered"
}
mkdir "$directory/rendered"
failed=
while read -r path; do
    render "$path" >"$directory/rendered/${path//\//+}" || failed=yes
done < <(
    grep --recursive --files-with-matches --include=kustomization.yaml '^kind: Kustomization$' . |
        sed 's#^\./\(.*\)/kustomization.yaml$#\1#'
    ls examples/sidecar-statefulset/statefulset.yaml examples/sidecar-host-network/controller.yaml
)
for component in components/*; do
    grep --recursive --quiet --include=kustomization.yaml -e "- \(\.\./\)*$component\$" . ||
        { echo "$component is in no kustomization" >&2; failed=yes; }
done
[ -z "$failed" ] || exit 1

# `kubectl patch --local` turns YAML into JSON without a server and without dropping fields.
cat "$directory"/rendered/* | kubectl patch --local --type=merge --patch='{}' --filename=- --output=json |
    jq --slurp --raw-output --slurpfile schema "$schema" --from-file "$program" >"$directory/problems"
if [ -s "$directory/problems" ]; then
    cat "$directory/problems" >&2
    exit 1
fi
echo "$(ls "$directory/rendered" | wc -l) sets of manifests match the schema of the Kubernetes API"
