// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The words that people's alerts look for, as EHM coined them.
enum EventVocabulary {
    /// Event source component of the controller side: `csi-pv-monitor-controller-DRIVER`.
    static func component(driverName: String) -> String {
        "csi-pv-monitor-controller-\(driverName)"
    }

    /// Warning: something is wrong with the volume.
    static let abnormalReason = "VolumeConditionAbnormal"
    /// Normal: nothing is wrong with it any more.
    static let normalReason = "VolumeConditionNormal"
    /// The message of ``normalReason``.
    static let normalMessage = "The Volume returns to the healthy state"
    /// The message of ``abnormalReason`` from a driver that gives none.
    static let abnormalMessageFallback = "The driver reports an abnormal volume and gives no message"
}
