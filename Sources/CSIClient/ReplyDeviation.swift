// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How a usable reply deviates from the specification.
package struct ReplyDeviation: Sendable, Hashable {
    /// The raw values are labels of a metric.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A reply to ControllerGetVolume without `volume`.
        case volumeMissing = "volume_missing"
        /// A `volume` without `volume_id`.
        case volumeIDMissing = "volume_id_missing"
        /// A `volume_id` other than the requested one.
        case volumeIDDiffers = "volume_id_differs"
    }

    package var kind: Kind
    /// The `volume_id` of the reply, cut to 256 characters; empty where it is missing.
    package var example: String
}
