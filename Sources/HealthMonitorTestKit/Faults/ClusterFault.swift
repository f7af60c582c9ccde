// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What happens in a cluster that is no fault of anybody's, and finds the weak places of whoever keeps a copy of it.
package enum ClusterFault: String, CaseIterable, Sendable {
    /// A claim is deleted, its volume is released; at the end the volume is deleted too, and both come back under their
    /// names with other uids.
    case claimDeleted = "claim-deleted"
    /// A volume and its claim are deleted and made again under the same names, with other uids, at one moment.
    case claimRecreated = "claim-recreated"
    /// A volume's claimRef names a claim of another uid; at the end it is as before.
    case claimReferenceChanged = "claim-reference-changed"
    /// Watches are cut, and before they are back every volume and claim has changed, many times, and the history is
    /// forgotten.
    case changedBetweenWatches = "changed-between-watches"
    /// The API server's clock is an hour behind.
    case clockSetBack = "clock-set-back"
    /// The API server's clock is an hour ahead.
    case clockSetForward = "clock-set-forward"
}
