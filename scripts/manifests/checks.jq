# The checks of manifests-test.sh. Input: rendered objects, with an object of kind Rendered before those of each path.
# Output: one line for each problem.

# MARK: The schema of the API

def check_value($path; $expected):
    if $expected == "any" then empty
    elif $expected | type == "array" then
        if type != "array" then "\($path) is no array"
        else to_entries[] | .key as $index | .value | check_value("\($path)[\($index)]"; $expected[0]) end
    elif $expected | type == "object" then
        if type != "object" then "\($path) is no object"
        else to_entries[] | .key as $key | .value | check_value("\($path).\($key)"; $expected["*"]) end
    elif $expected | IN("string", "number", "boolean") then
        if type != $expected then "\($path) is no \($expected)" else empty end
    else
        $schema[0].types[$expected] as $fields
        | if $fields == null then "\($path): schema.json has no type \($expected)"
        elif $fields | type == "string" then check_value($path; $fields)
        elif type != "object" then "\($path) is no object"
        else . as $object
            | (to_entries[] | .key as $key
                | ($fields[$key] // $fields[$key + "!"]) as $field
                | if $field == null then "\($path) has no field \($key)"
                else .value | check_value("\($path).\($key)"; $field) end),
            ($fields | keys[] | select(endswith("!"))[:-1] | select(. as $key | $object | has($key) | not)
                | "\($path).\(.) is missing")
        end
    end;

# What the schema does not say of a pod's template: a name of a port has at most 15 characters and exists once, probes
# and mounts name what exists, and no port is used twice.
def check_template:
    [.spec.containers[].ports[]?.name] as $ports
    | ($ports[] | select(length > 15) | "port name \(.) is longer than 15 characters"),
    ($ports | group_by(.)[] | select(length > 1) | "port name \(.[0]) exists twice"),
    (.spec.containers[] | (.livenessProbe, .readinessProbe, .startupProbe) | .httpGet?.port | strings
        | select(IN($ports[]) | not) | "a probe names the port \(.), which does not exist"),
    (.spec.volumes as $volumes | .spec.containers[] | .name as $name | .volumeMounts[]?.name
        | select(IN($volumes[]?.name) | not) | "container \($name) mounts the volume \(.), which does not exist"),
    ([.spec.containers[].ports[]?.containerPort] | group_by(.)[] | select(length > 1) | "port \(.[0]) is used twice");

def check_object:
    "\(.kind) \(.metadata.name)" as $path
    | $schema[0].kinds["\(.apiVersion)/\(.kind)"] as $expected
    | if $expected == null then "\($path): schema.json has no kind \(.apiVersion)/\(.kind)"
    else check_value($path; $expected) end,
    (.spec.template? | objects | select(.spec.containers) | check_template | "\($path): \(.)"),
    (select(.spec.template?.spec.containers?) | .spec.template.metadata.labels as $labels
        | .spec.selector.matchLabels | to_entries[] | select($labels[.key] != .value)
        | "\($path): the selector's label \(.key) is not the pod's");

# MARK: components/sidecar

def workload: .[] | select(.metadata.labels["csi-health-monitor/sidecar"] == "controller");
def is_external_health_monitor: .name | test("external-health-monitor");
def directory: sub("/[^/]*$"; "");
# The volume and the name of a socket that a container has at a path.
def socket($path): [.volumeMounts[] | select(.mountPath == ($path | directory)) | .name][0] + ($path | sub(".*/"; "/"));
def address: .env[] | select(.name == "ADDRESS").value;
# The path that the first container, the plugin, has in its arguments or environment.
def endpoint: [(.args[], .env[]?.value) | strings | capture("unix://(?<path>/.*)").path][0];

# components/sidecar changes nothing but the containers of health monitors, and the rights are for the pod's account.
def check_sidecar($source):
    . as $objects
    | workload as $after
    | ($source[] | select(.kind == $after.kind and .metadata.name == $after.metadata.name)) as $before
    | $after.spec.template.spec as $pod
    | [$pod.containers[] | select(.name == "csi-health-monitor")] as $monitors
    | $monitors[0] as $monitor
    | if $monitors | length != 1 then "\($monitors | length) containers csi-health-monitor" else empty end,
    ($pod.containers[] | select(is_external_health_monitor) | "still has the container \(.name)"),
    if $after.spec.selector != $before.spec.selector then "the selector has changed" else empty end,
    if $after.spec.template.metadata != $before.spec.template.metadata
    then "the pod's labels have changed" else empty end,
    if [$pod.containers[] | select(.name != "csi-health-monitor")]
        != [$before.spec.template.spec.containers[] | select(is_external_health_monitor | not)]
    then "other containers have changed" else empty end,
    if ($pod | del(.containers)) != ($before.spec.template.spec | del(.containers))
    then "the pod has changed" else empty end,
    if ($monitor | socket(address)) != ($before.spec.template.spec.containers[0] | socket(endpoint))
    then "the socket is not the plugin's" else empty end,
    ($objects[] | select(.kind | endswith("Binding")) | .kind as $kind | .subjects
        | select(. != [{
            kind: "ServiceAccount", name: $pod.serviceAccountName, namespace: $after.metadata.namespace
        }])
        | "a \($kind) is not for the pod's service account"),
    ([$objects[] | select(.kind == "ClusterRoleBinding")] | select(length == 0) | "no ClusterRoleBinding");

# MARK: Several drivers

# Objects that two kustomizations have would be taken over by the second `kubectl apply`. Namespaces may be shared.
def check_disjoint:
    [.[][] | select(.kind != "Namespace") | "\(.kind) \(.metadata.namespace // "") \(.metadata.name)"]
    | group_by(.)[] | select(length > 1) | "two kustomizations have \(.[0])";

def check_roles:
    . as $objects
    | .[] | select(.kind | endswith("Binding")) | select(.roleRef) | .roleRef as $role
    | select(any($objects[]; .kind == $role.kind and .metadata.name == $role.name) | not)
    | "\(.kind) \(.metadata.name): there is no \($role.kind) \($role.name)";

# The rules that bindings grant to service accounts: {account, namespace, rule}. In all namespaces if namespace is null.
def grants:
    . as $objects
    | .[] | select(.kind | IN("ClusterRoleBinding", "RoleBinding"))
    | .roleRef as $role | .metadata.namespace as $namespace
    | .subjects[] | select(.kind == "ServiceAccount") | "\(.namespace)/\(.name)" as $account
    | $objects[] | select(.kind == $role.kind and .metadata.name == $role.name)
    | select(.kind == "ClusterRole" or .metadata.namespace == $namespace)
    | .rules[] | {$account, $namespace, rule: .};

# As `kubectl auth can-i` answers with these grants.
def can_i($grants; $account; $verb; $group; $resource; $namespace):
    any($grants[];
        .account == $account and (.namespace == null or .namespace == $namespace)
        and (.rule | (.verbs | index($verb)) and (.apiGroups | index($group)) and (.resources | index($resource))
            and .resourceNames == null));

# Every account has its rights still after all kustomizations were applied, each of which replaces objects of the same
# name. Its namespace is that of its Lease.
def check_rights:
    [reduce .[][] as $object ({}; .["\($object.kind) \($object.metadata.namespace) \($object.metadata.name)"] = $object)
        | [.[]] | grants] as $grants
    | to_entries[] | .key as $path | [.value | grants.account] | unique[] as $account
    | ($account | sub("/.*"; "")) as $namespace
    | (
        ("list", "watch" | [., "", "persistentvolumes"], [., "", "persistentvolumeclaims"]),
        ["patch", "", "persistentvolumeclaims/status"],
        ("list", "get", "create", "patch" | [., "", "events"]),
        ("get", "create", "update" | [., "coordination.k8s.io", "leases"])
    ) as [$verb, $group, $resource]
    | select(can_i($grants; $account; $verb; $group; $resource; $namespace) | not)
    | "\($path): beside the other drivers \($account) cannot \($verb) \($resource)";

# MARK: All

# The objects of each path.
reduce .[] as $object ({path: null, sets: {}};
    if $object.kind == "Rendered" then .path = $object.path else .sets[.path] += [$object] end)
| .sets
| (to_entries[] | .key as $path | .value | (.[] | check_object), check_roles | "\($path): \(.)"),
(
    .["examples/sidecar-statefulset/statefulset.yaml"] as $source
    | .["examples/sidecar-statefulset"] | check_sidecar($source) | "examples/sidecar-statefulset: \(.)"
),
(
    .["examples/sidecar-ehm/driver"] as $source
    | .["examples/sidecar-ehm"] | check_sidecar($source) | "examples/sidecar-ehm: \(.)"
),
(
    .["examples/sidecar-host-network/controller.yaml"] as $source
    | .["examples/sidecar-host-network"] | check_sidecar($source) | "examples/sidecar-host-network: \(.)"
),
(
    with_entries(select(.key | test("^(test/[^/]*|examples/(hostpath|node-deployment|sidecar-[^/]*))$")))
    | check_disjoint, check_rights
)
