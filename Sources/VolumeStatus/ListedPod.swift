// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
package import KubernetesAPI
import ProtobufWire

/// A Pod, reduced to its claims, its node, and its conditions about volumes.
package struct ListedPod: ListedObject, Hashable {
    package static let resource = Pod.resource

    package var name = ObjectName()
    package var uid = ""
    package var resourceVersion = ""
    package var created: Int64 = 0
    /// `spec.nodeName`; empty while the pod is not scheduled.
    package var nodeName = ""
    package var phase = ""
    /// The names of claims, by the name of the pod's volume.
    package var claims: [String: String] = [:]
    /// The conditions of types `DRIVER/volumes-healthy`.
    package var conditions: [HealthyCondition] = []
    /// `status.volumeHealth`, which the kubelet writes since Kubernetes 1.37 with the feature gate CSIVolumeHealth: the
    /// volumes that are unhealthy.
    package var volumeHealth: [VolumeHealth] = []

    /// PodVolumeHealth (core/v1).
    package struct VolumeHealth: Sendable, Hashable {
        /// The pod's name for the volume.
        package var volume = ""
        /// Without those of an unknown status.
        package var conditions: [HealthCore.VolumeHealthCondition] = []
        /// Whether there is one of an unknown status.
        package var hasUnknownCondition = false
        /// `lastTransitionTime`
        package var transition: Int64?
    }

    static let conditionSuffix = "/volumes-healthy"

    package init() {}

    package init(reading bytes: Span<UInt8>) throws {
        var ephemeral: [String] = []
        try forEachField(of: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: try readMetadata(field, bytes)
            case 2: try readSpec(field, bytes, &ephemeral)
            case 3: try readStatus(field, bytes)
            default: break
            }
        }
        // A generic ephemeral volume's claim: k8s.io/component-helpers, storage/ephemeral, `VolumeClaimName`.
        for volume in ephemeral { claims[volume] = "\(name.name)-\(volume)" }
    }

    /// Whether the pod has ended and uses its volumes no longer.
    var hasEnded: Bool { phase == "Succeeded" || phase == "Failed" }

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

    private mutating func readSpec(
        _ field: WireField,
        _ bytes: Span<UInt8>,
        _ ephemeral: inout [String]
    ) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            if field.number == 10 { nodeName = field.text(in: bytes) }
            guard field.number == 1 else { return }
            var volume = ""
            var claim: String?
            var isEphemeral = false
            try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                if field.number == 1 { volume = field.text(in: bytes) }
                guard field.number == 2 else { return }
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    if field.number == 29 { isEphemeral = true }
                    guard field.number == 10 else { return }
                    try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                        if field.number == 1 { claim = field.text(in: bytes) }
                    }
                }
            }
            if let claim { claims[volume] = claim }
            if isEphemeral { ephemeral.append(volume) }
        }
    }

    private mutating func readStatus(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: phase = field.text(in: bytes)
            case 2:
                let condition = try HealthyCondition(field, bytes, transition: 4, reason: 5, message: 6)
                if condition.type.hasSuffix(Self.conditionSuffix) { conditions.append(condition) }
            case 22:
                let health = try VolumeHealth(field, bytes)
                if !health.conditions.isEmpty || health.hasUnknownCondition { volumeHealth.append(health) }
            default: break
            }
        }
    }
}

extension ListedPod.VolumeHealth {
    fileprivate init(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1: volume = field.text(in: bytes)
            case 2:
                if let condition = try HealthCore.VolumeHealthCondition(field, bytes) {
                    conditions.append(condition)
                } else {
                    hasUnknownCondition = true
                }
            case 3: transition = try field.seconds(in: bytes)
            default: break
            }
        }
    }
}
