// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A change in the cluster that is legitimate and finds the weaknesses of a client's cache.
package enum ClusterFault: String, CaseIterable, Sendable {
    /// A claim is deleted, and its volume is released. At the end the volume is deleted too, and both are created again
    /// under the same names with other uids.
    case claimDeleted = "claim-deleted"
    /// A volume and its claim are deleted and at once created again under the same names with other uids.
    case claimRecreated = "claim-recreated"
    /// A volume's claimRef has another uid; at the end it is as before.
    case claimReferenceChanged = "claim-reference-changed"
    /// Watches are cut, and before they are open again, every volume and claim changes many times and the history is
    /// compacted.
    case changedBetweenWatches = "changed-between-watches"
    /// The API server's clock is an hour behind.
    case clockSetBack = "clock-set-back"
    /// The API server's clock is an hour ahead.
    case clockSetForward = "clock-set-forward"
}
