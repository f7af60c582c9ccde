// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import KubernetesAPI

/// Identifies a claim by uid and name. The uid alone is not enough: the API server does not check `involvedObject.uid`.
/// An event in one namespace may have the uid of a claim in another, for which it must not count.
struct ClaimIdentity: Sendable, Hashable {
    var key: ClaimKey
    var uid: String

    /// The claim on which an event was recorded.
    init(_ event: Event) {
        key = ClaimKey(namespace: event.involvedObject.namespace, name: event.involvedObject.name)
        uid = event.involvedObject.uid
    }
}

/// Whose events are kept while they are read back (rule 9): those of the claims in the cache, and of a limited number of
/// others, because the watch may deliver a claim while events are read.
///
/// The limit is for events that were made up: the API server checks neither that an involved object exists nor how long
/// its name is. Without it, a user who may create events in one namespace could fill the memory of every new leader.
struct RecordedClaims: Sendable {
    static let maximumOthers = 1000
    /// The API server's limit of an object's name; a uid is shorter.
    private static let maximumNameBytes = 253

    private var others: Set<ClaimIdentity> = []

    /// Whether the events on this claim are kept.
    mutating func keep(_ claim: ClaimIdentity, isCached: Bool) -> Bool {
        if isCached || others.contains(claim) { return true }
        guard others.count < Self.maximumOthers,
            max(claim.key.name.utf8.count, claim.uid.utf8.count) <= Self.maximumNameBytes
        else { return false }
        others.insert(claim)
        return true
    }
}
