// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The health of a volume as it is reported.
package struct VolumeState: Reportable {
    /// Everything that is wrong, worst first; empty: nothing.
    package let conditions: [VolumeHealthCondition]
    /// Of the set of (status, reason), whatever the messages say (rule 6).
    package let fingerprint: Fingerprint

    /// - Parameter conditions: worst first; empty: nothing is wrong.
    package init(_ conditions: [VolumeHealthCondition]) {
        self.conditions = conditions
        fingerprint = Fingerprint(conditions.map { "\($0.status.rawValue)/\($0.reason)" }.sorted())
    }

    /// The same conditions without their messages.
    package var withoutMessages: VolumeState {
        VolumeState(conditions.map { VolumeHealthCondition(status: $0.status, reason: $0.reason, message: "") })
    }

    package static let clear = VolumeState([])

    package var isClear: Bool { conditions.isEmpty }
}
