// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Something to be told on a claim.
public struct Announcement: Sendable, Hashable {
    /// Why it is told now.
    public enum Cause: Sendable, Hashable {
        /// The set of conditions is another one than what was told last.
        case transition
        /// The same conditions last, or their messages changed.
        case refresh
    }

    /// Whom to tell.
    public var claim: Claim
    /// The volume that it is about.
    public var volumeHandle: String
    /// All that is wrong now; empty says that the volume has recovered.
    public var conditions: [VolumeHealthCondition]
    /// Why now.
    public var cause: Cause
}
