// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The condition of a pod that says whether its volumes of one driver can be used, for pods that name its type in
/// `spec.readinessGates`.
///
/// | Volumes of the driver in the pod | Status |
/// |---|---|
/// | any is Inaccessible or DataLoss | False, with its reason |
/// | any is abnormal (legacy), with `legacyConditionsCount` | False |
/// | the driver found all: healthy, Degraded, abnormal, without a condition of a known type | True |
/// | some were not found yet by this process, none is False | stays as it is |
/// | no response on health yet, False or unhealthy by an earlier process | stays as it is |
///
/// Source: KEP-580 pod ready++. The kubelet keeps conditions of types that are not its own.
package struct ReadinessCondition: Reportable {
    package enum Status: String, Sendable, Hashable {
        case `true` = "True"
        case `false` = "False"
    }

    /// nil: the pod does not show the condition.
    package var status: Status?
    package var reason: String
    package var message: String

    /// The reason while the status is True.
    package static let healthyReason = "VolumesHealthy"

    static let absent = ReadinessCondition(status: nil, reason: "", message: "")
    static let healthy = ReadinessCondition(
        status: .true,
        reason: healthyReason,
        message: "The volumes of the driver can be used"
    )

    init(status: Status?, reason: String, message: String) {
        self.status = status
        self.reason = reason
        self.message = message
    }

    /// A condition as a pod shows it; nil for a status that is neither True nor False.
    init?(_ condition: PodCondition) {
        guard let status = Status(rawValue: condition.status) else { return nil }
        self.init(status: status, reason: condition.reason, message: condition.message)
    }

    /// `DRIVER/volumes-healthy`. The API server takes lower case only in the part before the slash.
    package static func type(driver: String) -> String { driver.lowercased() + suffix }

    /// Whether a condition type has the form of type(driver:).
    package static func isType(_ type: String) -> Bool { type.hasSuffix(suffix) && type.utf8.count > suffix.utf8.count }

    private static let suffix = "/volumes-healthy"

    package var isClear: Bool { status == nil }

    /// Of status, reason and volume: another message on the same volume alone is not written.
    package var fingerprint: Fingerprint {
        Fingerprint([status?.rawValue ?? "", reason, status == .false ? volume : ""])
    }

    /// The beginning of the message, which names the volume (``NodeVolume/message(for:)-(VolumeState)``).
    private var volume: String { message.firstRange(of: ": ").map { String(message[..<$0.lowerBound]) } ?? "" }
}

/// Identifies the readiness condition of a pod.
package struct ReadinessKey: Sendable, Hashable {
    package var podUID: String
    /// The condition's type.
    package var type: String
}
