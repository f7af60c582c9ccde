// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A volume's health as ControllerListVolumeHealth or ControllerGetVolumeHealth reports it (CSI 1.13 and later).
package struct DriverVolumeHealth: Sendable, Hashable {
    /// How bad it is: a `VolumeHealthErrorType`.
    package enum Status: Sendable, Hashable {
        /// DEGRADED: usable, with something lost: speed, redundancy.
        case degraded
        /// INACCESSIBLE: data cannot be read or written at the moment.
        case inaccessible
        /// DATA_LOSS: data is gone.
        case dataLoss
        /// A number that this program does not know, UNKNOWN_VOLUME_HEALTH_TYPE (0) among them. It is no health.
        case unknown(Int)
    }

    /// One thing that is wrong.
    package struct Entry: Sendable, Hashable {
        /// How bad it is.
        package var status: Status
        /// Why, as a word for programs; some drivers leave it empty.
        package var reason: String
        /// Why, for people.
        package var message: String
    }

    /// The volume's identity for the driver: `spec.csi.volumeHandle` of its PersistentVolume.
    package var id: String
    /// All that is wrong, in the driver's order and with its repetitions; empty: nothing is.
    package var entries: [Entry]
}

extension DriverVolumeHealth.Status {
    /// The numbers of `VolumeHealthErrorType`.
    init(number: UInt64) {
        switch Int32(truncatingIfNeeded: number) {
        case 1: self = .degraded
        case 2: self = .inaccessible
        case 3: self = .dataLoss
        // Enumerations have 32 bits, of which the others are ignored.
        case let other: self = .unknown(Int(other))
        }
    }
}
