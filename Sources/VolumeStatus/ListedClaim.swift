// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
package import KubernetesAPI
import ProtobufWire

/// A PersistentVolumeClaim, reduced to what is known of its health.
package struct ListedClaim: ListedObject, Hashable {
    package static let resource = PersistentVolumeClaim.resource

    package var name = ObjectName()
    package var uid = ""
    package var resourceVersion = ""
    /// In seconds since 1970, as all times of this module.
    package var created: Int64 = 0
    /// `spec.volumeName`; empty while the claim is not bound.
    package var volumeName = ""
    package var phase = ""
    /// `status.healthStatus.healthConditions`, without those of an unknown status.
    package var healthConditions: [HealthCore.VolumeHealthCondition] = []
    /// Whether `status.healthStatus` has a condition of an unknown status.
    package var hasUnknownCondition = false
    /// `status.healthStatus.lastTransitionTime`
    package var healthTransition: Int64?
    /// The condition of type ``conditionType``.
    package var condition: HealthyCondition?

    /// The type of the condition that the controller sets where the API server has no `status.healthStatus`.
    package static let conditionType = "csi-health-monitor/VolumeHealthy"

    package init() {}

    package init(reading bytes: Span<UInt8>) throws {
        try forEachField(of: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: try readMetadata(field, bytes)
            case 2:
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    if field.number == 3 { volumeName = field.text(in: bytes) }
                }
            case 3: try readStatus(field, bytes)
            default: break
            }
        }
    }

    private mutating func readMetadata(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: name.name = field.text(in: bytes)
            case 3: name.namespace = field.text(in: bytes)
            case 5: uid = field.text(in: bytes)
            case 6: resourceVersion = field.text(in: bytes)
            case 8: created = try field.seconds(in: bytes)
            default: break
            }
        }
    }

    private mutating func readStatus(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: phase = field.text(in: bytes)
            case 4:
                let read = try HealthyCondition(field, bytes, transition: 4, reason: 5, message: 6)
                if read.type == Self.conditionType { condition = read }
            case 10: try readHealthStatus(field, bytes)
            default: break
            }
        }
    }

    private mutating func readHealthStatus(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1:
                if let condition = try HealthCore.VolumeHealthCondition(field, bytes) {
                    healthConditions.append(condition)
                } else {
                    hasUnknownCondition = true
                }
            case 2: healthTransition = try field.seconds(in: bytes)
            default: break
            }
        }
    }
}

extension HealthCore.VolumeHealthCondition {
    /// Reads a VolumeHealthCondition (core/v1); nil if its status is not known.
    init?(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        var (status, reason, message) = ("", "", "")
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: status = field.text(in: bytes)
            case 2: reason = field.text(upTo: .max, in: bytes)
            case 3: message = field.text(upTo: .max, in: bytes)
            default: break
            }
        }
        guard let status = Status(rawValue: status) else { return nil }
        self.init(status: status, reason: reason, message: message)
    }
}

/// A condition of a claim or a pod whose status `True` says that volumes are healthy.
package struct HealthyCondition: Sendable, Hashable {
    package var type: String
    /// Whether the status is `False`: with `Unknown`, nothing is known.
    package var isFalse: Bool
    package var isTrue: Bool
    package var reason: String
    package var message: String
    /// `lastTransitionTime`
    package var transition: Int64?

    package init(type: String, status: String, reason: String, message: String, transition: Int64?) {
        self.type = type
        isFalse = status == "False"
        isTrue = status == "True"
        self.reason = reason
        self.message = message
        self.transition = transition
    }

    /// Reads a condition whose type and status are the fields 1 and 2.
    init(
        _ field: WireField,
        _ bytes: Span<UInt8>,
        transition transitionField: Int,
        reason reasonField: Int,
        message messageField: Int
    ) throws(WireFormatError) {
        var (type, status, reason, message) = ("", "", "", "")
        var transition: Int64?
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: type = field.text(upTo: 317, in: bytes)
            case 2: status = field.text(in: bytes)
            case transitionField: transition = try field.seconds(in: bytes)
            case reasonField: reason = field.text(upTo: .max, in: bytes)
            case messageField: message = field.text(upTo: .max, in: bytes)
            default: break
            }
        }
        self.init(type: type, status: status, reason: reason, message: message, transition: transition)
    }
}
