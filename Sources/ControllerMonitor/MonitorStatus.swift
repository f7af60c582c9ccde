// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What works and what fails, for health pages. Ages are since then; nothing in it needs the core's lock.
package struct MonitorStatus: Sendable {
    /// Something that fails.
    package struct Failure: Sendable, Hashable {
        package var age: Duration
        package var reason: String
    }

    /// The watch of one resource.
    package struct Watch: Sendable, Hashable {
        /// As RBAC has it: `persistentvolumes`.
        package var resource: String
        /// Since the last event or bookmark; nil before the first list.
        package var silence: Duration?
        /// nil while it is open, and before it has begun.
        package var failure: Failure?
    }

    /// Whether this replica is in a term.
    package var isLeading: Bool
    /// The driver does not answer its Identity calls.
    package var driver: Failure?
    /// Calls for the health of volumes fail: lists, or, where volumes are probed one by one, all calls of an interval.
    package var calls: Failure?
    /// Those that have begun: a standby has none unless its caches are kept.
    package var watches: [Watch]
    /// Since the beginning of the term.
    package var termAge: Duration?
    /// Since all volumes were last asked for in this term.
    package var sweepAge: Duration?
    /// In which all volumes are asked for.
    package var sweepInterval: Duration
    /// What the driver lacks, or does wrong, in sentences.
    package var driverProblem: String?
}

extension MonitorStatus.Watch {
    /// nil before the watch has begun.
    init?(_ resource: String, _ activity: CacheState.Activity, at now: Duration) {
        guard activity.hasBegun else { return nil }
        self.init(
            resource: resource,
            silence: activity.lastReceived.map { now - $0 },
            failure: activity.failure.map { .init(age: now - $0.since, reason: $0.reason) }
        )
    }
}
