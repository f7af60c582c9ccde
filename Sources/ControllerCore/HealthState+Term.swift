// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Terms: the time from taking the lease to losing it.
///
/// The caches of PersistentVolumes and PersistentVolumeClaims outlive a term, because their watches go on. Everything else
/// is of one term: between two of them another replica may have probed the volumes and recorded events.
extension HealthState {
    /// The lease is held from now on. What is known is what a new healthState would know that was given the same volumes
    /// and claims: reports of earlier terms are read back (``restore(reported:claimUID:key:reportedAt:at:)``).
    package mutating func beginTerm() {
        forgetTerm()
        isStandby = false
    }

    /// The lease is not held, yet or any more: only the watches go on. Until ``beginTerm()`` nothing is queued, and
    /// outcomes of reports that were under way change nothing.
    package mutating func endTerm() {
        forgetTerm()
        isStandby = true
    }

    /// Keeps only the configuration and the caches. A new field of the healthState is forgotten here too.
    private mutating func forgetTerm() {
        var next = HealthState(configuration: configuration)
        // Moved, not copied.
        swap(&next.index, &index)
        next.index.forgetReplies()
        next.events = ReportQueue(timing: .lastingEvents, after: events)
        next.statuses = ReportQueue(timing: .fields, after: statuses)
        next.responses = ReportQueue(timing: .lastingEvents, after: responses)
        next.unknowns = ReportQueue(timing: .singleEvents, after: unknowns)
        self = next
    }
}
