// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
package import HealthCore
package import KubernetesAPI
package import ProtobufWire

/// A PersistentVolumeClaim, reduced to what the monitor needs.
package struct WatchedClaim: WatchedObject, Hashable {
    package static let resource = PersistentVolumeClaim.resource

    package private(set) var claim = Claim(key: ClaimKey(namespace: "", name: ""), uid: "", resourceVersion: "")
    /// `spec.volumeName`; empty until the claim is bound, and when it is longer than a name can be: the API server does
    /// not validate it (pkg/apis/core/validation, `ValidatePersistentVolumeClaimSpec`).
    package private(set) var volumeName = ""
    /// `status.healthStatus.healthConditions`
    private var conditions: [Condition] = []
    /// `status.healthStatus.lastTransitionTime`, in seconds since 1970; 0: not set.
    package private(set) var healthTransition: Int64 = 0
    /// Whether the claim has `status.healthStatus`.
    package private(set) var hasHealthStatus = false
    /// The condition of type ``ControllerCore/ClaimCondition/type`` in `status.conditions`.
    package private(set) var condition: ShownCondition?

    /// A condition as it is stored, valid or not.
    private struct Condition: Sendable, Hashable {
        var status = ""
        var reason = ""
        var message = ""
    }

    package var resourceVersion: String { claim.resourceVersion }

    /// The conditions of `status.healthStatus`, as the core defines them.
    package var healthStatus: [HealthCore.VolumeHealthCondition] {
        conditions.compactMap { .init(status: $0.status, reason: $0.reason, message: $0.message) }
    }

    package init() {}

    package mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: field.readName(&claim.key.name, in: bytes)
            case 3: field.readName(&claim.key.namespace, in: bytes)
            case 5: field.readName(&claim.uid, in: bytes)
            case 6: field.readName(&claim.resourceVersion, in: bytes)
            default: break
            }
        }
    }

    package mutating func read(spec bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            if field.number == 3 { field.readName(&volumeName, in: bytes) }
        }
    }

    package mutating func read(status bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard let message = field.message else { continue }
            switch field.number {
            case 4: try read(claimCondition: bytes.extracting(message))
            case 10:
                hasHealthStatus = true
                try read(healthStatus: bytes.extracting(message))
            default: break
            }
        }
    }

    private mutating func read(claimCondition bytes: Span<UInt8>) throws(WireFormatError) {
        var (type, status, reason, message) = ("", "", "", "")
        var transition: Int64 = 0
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1:
                field.readName(&type, in: bytes)
                // Other conditions are skipped; a claim that is resized has one, for example.
                if type != ClaimCondition.type { return }
            case 2: field.readName(&status, in: bytes)
            case 4: try field.readSeconds(&transition, in: bytes)
            case 5: field.readRepaired(&reason, in: bytes)
            case 6: field.readRepaired(&message, in: bytes)
            default: break
            }
        }
        guard type == ClaimCondition.type else { return }
        condition = ShownCondition(status: status, reason: reason, message: message, transition: transition)
    }

    private mutating func read(healthStatus bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard let message = field.message else { continue }
            switch field.number {
            case 1: try read(condition: bytes.extracting(message))
            case 2: try field.readSeconds(&healthTransition, in: bytes)
            default: break
            }
        }
    }

    private mutating func read(condition bytes: Span<UInt8>) throws(WireFormatError) {
        var condition = Condition()
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: field.readRepaired(&condition.status, in: bytes)
            case 2: field.readRepaired(&condition.reason, in: bytes)
            case 3: field.readRepaired(&condition.message, in: bytes)
            default: break
            }
        }
        conditions.append(condition)
    }
}

extension HealthState {
    package mutating func apply(_ claim: WatchedClaim, at now: Duration) {
        apply(
            claim.claim,
            volumeName: claim.volumeName,
            healthStatus: claim.healthStatus,
            healthTransition: claim.healthTransition,
            condition: claim.condition,
            at: now
        )
    }
}
