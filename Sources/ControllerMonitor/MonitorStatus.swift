// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What works and what fails, for health pages. It is built without the lock of the state.
package struct MonitorStatus: Sendable {
    /// A failure that lasts.
    package struct Failure: Sendable, Hashable {
        package var age: Duration
        package var reason: String
    }

    /// The watch of one resource.
    package struct Watch: Sendable, Hashable {
        /// The resource, as in RBAC rules: `persistentvolumes`.
        package var resource: String
        /// The time since the last event, bookmark or reopening; nil before the first list.
        package var silence: Duration?
        /// nil while the watch is open, and before it has begun.
        package var failure: Failure?
    }

    /// Whether this replica is in a term.
    package var isLeading: Bool
    /// The driver does not respond to Identity calls.
    package var driver: Failure?
    /// Calls for the health of volumes fail: lists, or, where volumes are probed one by one, all calls of an interval.
    package var calls: Failure?
    /// The watches that have begun: a standby has none without `--warm-standby`.
    package var watches: [Watch]
    /// The time since the term began.
    package var termAge: Duration?
    /// The time since all volumes were last probed in this term.
    package var sweepAge: Duration?
    /// The interval in which all volumes are probed.
    package var sweepInterval: Duration
    /// The problems of the driver, in sentences.
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
