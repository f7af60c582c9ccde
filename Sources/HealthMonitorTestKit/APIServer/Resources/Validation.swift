// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A validation error: a cause of a 422.
struct FieldError: Sendable {
    enum Kind: String, Sendable {
        case required = "FieldValueRequired"
        case invalid = "FieldValueInvalid"
        case forbidden = "FieldValueForbidden"
        case duplicate = "FieldValueDuplicate"
        case notSupported = "FieldValueNotSupported"
        case tooLong = "FieldValueTooLong"
        case tooMany = "FieldValueTooMany"
    }

    let kind: Kind
    let field: String
    /// `Required value: name or generateName is required`
    let message: String

    static func required(_ field: String, _ detail: String) -> FieldError {
        FieldError(
            kind: .required,
            field: field,
            message: detail.isEmpty ? "Required value" : "Required value: \(detail)"
        )
    }

    static func invalid(_ field: String, _ value: JSONValue, _ detail: String) -> FieldError {
        FieldError(kind: .invalid, field: field, message: "Invalid value: \(value): \(detail)")
    }

    static func duplicate(_ field: String, _ value: JSONValue) -> FieldError {
        FieldError(kind: .duplicate, field: field, message: "Duplicate value: \(value)")
    }

    static func notSupported(_ field: String, _ value: JSONValue, _ supported: [String]) -> FieldError {
        let list = supported.map { "\"\($0)\"" }.joined(separator: ", ")
        return FieldError(
            kind: .notSupported,
            field: field,
            message: "Unsupported value: \(value): supported values: \(list)"
        )
    }

    static func tooLong(_ field: String, _ limit: Int) -> FieldError {
        FieldError(kind: .tooLong, field: field, message: "Too long: may not be more than \(limit) bytes")
    }

    static func tooMany(_ field: String, _ count: Int, _ limit: Int) -> FieldError {
        FieldError(kind: .tooMany, field: field, message: "Too many: \(count): must have at most \(limit) items")
    }

    static func forbidden(_ field: String, _ detail: String) -> FieldError {
        FieldError(kind: .forbidden, field: field, message: "Forbidden: \(detail)")
    }
}

/// The rules of k8s.io/kubernetes, pkg/apis/core/validation and pkg/apis/coordination/validation, that our client could
/// break.
enum Validation {
    @Sendable static func persistentVolume(_ volume: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        if volume["spec", "accessModes"]?.array?.isEmpty ?? true {
            errors.append(.required("spec.accessModes", ""))
        }
        if volume["spec", "capacity"] == nil {
            errors.append(.required("spec.capacity", ""))
        }
        if !MessageSchema.persistentVolumeSource.fields.contains(where: { volume["spec", $0.name] != nil }) {
            errors.append(.required("spec", "must specify a volume type"))
        }
        return errors
    }

    @Sendable static func persistentVolumeClaim(_ claim: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        if claim["spec", "accessModes"]?.array?.isEmpty ?? true {
            errors.append(.required("spec.accessModes", "at least 1 access mode is required"))
        }
        if claim["spec", "resources", "requests", "storage"] == nil {
            errors.append(.required("spec.resources[storage]", ""))
        }
        if let status = claim["status", "healthStatus"] {
            errors += healthStatus(status, at: "status.healthStatus")
        }
        return errors
    }

    /// KEP-1432: at most 16 conditions, unique by status and reason, texts of bounded length.
    private static func healthStatus(_ status: JSONValue, at path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let path = "\(path).healthConditions"
        let conditions = status["healthConditions"]?.array ?? []
        if conditions.count > 16 { errors.append(.tooMany(path, conditions.count, 16)) }
        var seen: Set<[String]> = []
        let supported = ["DataLoss", "Degraded", "Inaccessible"]
        for (index, condition) in conditions.enumerated() {
            let path = "\(path)[\(index)]"
            let kind = condition["status"]?.string ?? ""
            let reason = condition["reason"]?.string ?? ""
            if !supported.contains(kind) { errors.append(.notSupported("\(path).status", .string(kind), supported)) }
            if reason.isEmpty { errors.append(.required("\(path).reason", "")) }
            if reason.utf8.count > 256 { errors.append(.tooLong("\(path).reason", 256)) }
            if (condition["message"]?.string ?? "").utf8.count > 1024 {
                errors.append(.tooLong("\(path).message", 1024))
            }
            if !seen.insert([kind, reason]).inserted { errors.append(.duplicate(path, condition)) }
        }
        return errors
    }

    @Sendable static func event(_ event: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        let namespace = event["metadata", "namespace"]?.string ?? ""
        let involved = event["involvedObject", "namespace"]?.string ?? ""
        // Events on cluster-scoped objects are in the namespace default.
        if involved != namespace, !(involved.isEmpty && namespace == "default") {
            errors.append(.invalid("involvedObject.namespace", .string(involved), "does not match event.namespace"))
        }
        // An eventTime marks an event of events.k8s.io/v1, which must be complete.
        if event["eventTime"] != nil {
            for field in ["reportingComponent", "reportingInstance", "action", "reason"]
            where event[field]?.string?.isEmpty ?? true {
                errors.append(.required(field, ""))
            }
            if (event["message"]?.string ?? "").utf8.count > 1024 {
                errors.append(.invalid("message", event["message"] ?? "", "can have at most 1024 bytes"))
            }
        }
        return errors
    }

    /// validateReadinessGates and validatePodConditions.
    @Sendable static func pod(_ pod: JSONValue) -> [FieldError] {
        let gates = (pod["spec", "readinessGates"]?.array ?? []).enumerated().map { index, gate in
            ("spec.readinessGates[\(index)].conditionType", gate["conditionType"])
        }
        let conditions = (pod["status", "conditions"]?.array ?? []).enumerated().map { index, condition in
            ("status.conditions[\(index)].Type", condition["type"])
        }
        return (gates + conditions).compactMap { field, type in
            qualifiedNameProblem(type?.string ?? "").map { .invalid(field, type ?? "", $0) }
        }
    }

    /// What is wrong with a name such as `example.com/name`: IsLabelKey of
    /// k8s.io/apimachinery/pkg/util/validation. nil for a valid one.
    private static func qualifiedNameProblem(_ text: String) -> String? {
        var parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let name = parts.removeLast()
        if let prefix = parts.popLast(), !self.name(String(prefix)).isEmpty {
            return "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
                + "or '.', and must start and end with an alphanumeric character"
        }
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "-_.".utf8.contains(byte)
            }
        }
        let ends = [name.first, name.last].compactMap { $0 }
        guard parts.isEmpty, isName, (1...63).contains(name.utf8.count), ends.allSatisfy({ !"-_.".contains($0) }) else {
            return "name part must consist of at most 63 alphanumeric characters, '-', '_' or '.', and must start and "
                + "end with an alphanumeric character"
        }
        return nil
    }

    @Sendable static func lease(_ lease: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        if let duration = lease["spec", "leaseDurationSeconds"], duration.integer ?? 0 <= 0 {
            errors.append(.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        }
        if let transitions = lease["spec", "leaseTransitions"], transitions.integer ?? 0 < 0 {
            errors.append(.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        }
        return errors
    }

    static let volumeSourceIsImmutable = FieldError.forbidden(
        "spec.persistentvolumesource",
        "spec.persistentvolumesource is immutable after creation"
    )

    static let claimSpecIsImmutable = FieldError.forbidden(
        "spec",
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    )

    /// `metadata.name`: a DNS subdomain (RFC 1123).
    static func name(_ name: String) -> [FieldError] {
        let isSubdomain =
            name.utf8.count <= 253
            && name.split(separator: ".", omittingEmptySubsequences: false)
                .allSatisfy { label in
                    let isLabel = label.utf8.allSatisfy { byte in
                        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
                    }
                    return isLabel && !label.isEmpty && !label.hasPrefix("-") && !label.hasSuffix("-")
                }
        if isSubdomain { return [] }
        let detail =
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            + "and must start and end with an alphanumeric character"
        return [.invalid("metadata.name", .string(name), detail)]
    }
}
