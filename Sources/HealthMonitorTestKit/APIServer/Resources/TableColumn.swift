// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A column of `kubectl get`: a `metav1.TableColumnDefinition` and how to fill its cells.
struct TableColumn: Sendable {
    let name: String
    /// 0: always shown; 1: with `-o wide`.
    let priority: Int64
    let cell: @Sendable (_ object: JSONValue, _ now: Timestamp) -> JSONValue

    init(_ name: String, wide: Bool = false, cell: @escaping @Sendable (JSONValue, Timestamp) -> JSONValue) {
        self.name = name
        priority = wide ? 1 : 0
        self.cell = cell
    }

    /// The text under a path.
    init(_ name: String, _ path: String..., wide: Bool = false, missing: String = "") {
        self.init(name, wide: wide) { object, _ in
            object[path: path] ?? .string(missing)
        }
    }

    /// The age of the time under a path.
    init(age name: String, _ path: String..., wide: Bool = false) {
        self.init(name, wide: wide) { object, now in
            .string(TableColumn.age(of: object[path: path], now: now))
        }
    }

    /// In kubectl's format: `5s`, `2m10s`, `5h`, `3d2h`, `400d`.
    static func age(of time: JSONValue?, now: Timestamp) -> String {
        guard let text = time?.string, let time = Timestamp(text) else { return "<unknown>" }
        let seconds = max(0, now.seconds - time.seconds)
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400)
        return switch seconds {
        case ..<120: "\(seconds)s"
        case ..<600: seconds % 60 == 0 ? "\(minutes)m" : "\(minutes)m\(seconds % 60)s"
        case ..<10_800: "\(minutes)m"
        case ..<28_800: minutes % 60 == 0 ? "\(hours)h" : "\(hours)h\(minutes % 60)m"
        case ..<172_800: "\(hours)h"
        case ..<691_200: hours % 24 == 0 ? "\(days)d" : "\(days)d\(hours % 24)h"
        default: "\(days)d"
        }
    }
}

// MARK: - The columns of each kind: k8s.io/kubernetes/pkg/printers/internalversion/printers.go

extension [TableColumn] {
    static let namespace = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Status", "status", "phase"),
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
    ]

    static let lease = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Holder", "spec", "holderIdentity"),
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
    ]

    static let pod = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Ready") { pod, _ in
            let ready = containerStatuses(of: pod).count { $0["ready"] == true }
            return .string("\(ready)/\(pod["spec", "containers"]?.array?.count ?? 0)")
        },
        TableColumn("Status") { pod, _ in phase(of: pod) },
        TableColumn("Restarts") { pod, _ in
            let restarts = containerStatuses(of: pod).reduce(0) { $0 + ($1["restartCount"]?.integer ?? 0) }
            return .string("\(restarts)")
        },
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
        TableColumn("Node", "spec", "nodeName", wide: true, missing: "<none>"),
    ]

    static let node = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Status") { node, _ in
            let ready = node["status", "conditions"]?.array?.first { $0["type"] == "Ready" }
            let status =
                switch ready?["status"] {
                case nil: "Unknown"
                case "True": "Ready"
                default: "NotReady"
                }
            return .string(node["spec", "unschedulable"] == true ? "\(status),SchedulingDisabled" : status)
        },
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
    ]

    static let secret = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Type", "type"),
        TableColumn("Data") { secret, _ in .integer(Int64(secret["data"]?.object?.count ?? 0)) },
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
    ]

    static let persistentVolume = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Capacity", "spec", "capacity", "storage"),
        TableColumn("Access Modes") { volume, _ in accessModes(volume["spec", "accessModes"]) },
        TableColumn("Reclaim Policy", "spec", "persistentVolumeReclaimPolicy"),
        TableColumn("Status") { volume, _ in phase(of: volume) },
        TableColumn("Claim") { volume, _ in
            guard let claim = volume["spec", "claimRef"] else { return "" }
            return .string("\(claim["namespace"]?.string ?? "")/\(claim["name"]?.string ?? "")")
        },
        TableColumn("StorageClass", "spec", "storageClassName"),
        TableColumn("VolumeAttributesClass", "spec", "volumeAttributesClassName", missing: "<unset>"),
        TableColumn("Reason", "status", "reason"),
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
        TableColumn("VolumeMode", "spec", "volumeMode", wide: true, missing: "<unset>"),
    ]

    static let persistentVolumeClaim = [
        TableColumn("Name", "metadata", "name"),
        TableColumn("Status") { claim, _ in phase(of: claim) },
        TableColumn("Volume", "spec", "volumeName"),
        TableColumn("Capacity", "status", "capacity", "storage"),
        TableColumn("Access Modes") { claim, _ in
            claim["spec", "volumeName"] == nil ? "" : accessModes(claim["status", "accessModes"])
        },
        TableColumn("StorageClass", "spec", "storageClassName"),
        TableColumn("VolumeAttributesClass", "spec", "volumeAttributesClassName", missing: "<unset>"),
        TableColumn(age: "Age", "metadata", "creationTimestamp"),
        TableColumn("VolumeMode", "spec", "volumeMode", wide: true, missing: "<unset>"),
    ]

    static let event = [
        TableColumn("Last Seen") { event, now in
            .string(TableColumn.age(of: event["lastTimestamp"] ?? event["eventTime"], now: now))
        },
        TableColumn("Type", "type"),
        TableColumn("Reason", "reason"),
        TableColumn("Object") { event, _ in
            let kind = event["involvedObject", "kind"]?.string?.lowercased() ?? ""
            let name = event["involvedObject", "name"]?.string ?? ""
            return .string(name.isEmpty ? kind : "\(kind)/\(name)")
        },
        TableColumn("Subobject", "involvedObject", "fieldPath", wide: true),
        TableColumn("Source", wide: true) { event, _ in
            let parts = [event["source", "component"] ?? event["reportingComponent"], event["source", "host"]]
            return .string(parts.compactMap { $0?.string }.joined(separator: ", "))
        },
        TableColumn("Message", "message"),
        TableColumn("First Seen", wide: true) { event, now in
            .string(TableColumn.age(of: event["firstTimestamp"] ?? event["eventTime"], now: now))
        },
        TableColumn("Count", wide: true) { event, _ in event["count"] ?? 1 },
        TableColumn("Name", "metadata", "name", wide: true),
    ]

    private static func containerStatuses(of pod: JSONValue) -> [JSONValue] {
        pod["status", "containerStatuses"]?.array ?? []
    }

    private static func phase(of object: JSONValue) -> JSONValue {
        object["metadata", "deletionTimestamp"] == nil ? object["status", "phase"] ?? "" : "Terminating"
    }

    private static func accessModes(_ modes: JSONValue?) -> JSONValue {
        let abbreviations = [
            "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP",
        ]
        let texts = (modes?.array ?? []).compactMap { $0.string.map { abbreviations[$0] ?? $0 } }
        return .string(texts.joined(separator: ","))
    }
}
