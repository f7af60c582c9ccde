// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Terms: the time from acquiring the lease to losing it.
///
/// The caches of PersistentVolumes and PersistentVolumeClaims outlive a term, because their watches continue.
/// Everything else belongs to one term: between two terms another replica may have probed the volumes and recorded
/// events.
extension HealthState {
    /// The lease is held from now on. The state is that of a new process with the same volumes and claims: reports of
    /// earlier terms are read back (``restore(reported:state:claimUID:key:reportedAt:since:count:at:wall:)``).
    package mutating func beginTerm() {
        forgetTerm()
        isStandby = false
    }

    /// The lease is not held: only the watches continue. Until ``beginTerm()`` nothing is queued, and outcomes of
    /// reports that were under way are ignored.
    package mutating func endTerm() {
        forgetTerm()
        isStandby = true
    }

    /// Keeps only the configuration and the caches, so that a property that is added later belongs to a term by
    /// default.
    private mutating func forgetTerm() {
        var next = HealthState(configuration: configuration)
        // Moved, not copied.
        swap(&next.index, &index)
        next.index.forgetReplies()
        next.events = ReportQueue(timing: .lastingEvents, after: events)
        next.statuses = ReportQueue(timing: .fields, after: statuses)
        next.responses = ReportQueue(timing: .lastingEvents, after: responses)
        next.unknowns = ReportQueue(timing: .singleEvents, after: unknowns)
        next.flapEvents = ReportQueue(timing: .flapping, after: flapEvents)
        next.outages = ReportQueue(timing: .outageEvents, after: outages)
        self = next
    }
}
