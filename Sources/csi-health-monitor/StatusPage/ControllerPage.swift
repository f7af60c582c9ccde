// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HTTPEndpoint
import HealthCore

/// What the controller's status page shows: not more than its metrics and health pages.
struct ControllerPage: Sendable {
    /// The number of claims on a page, so that its size is bounded.
    static let maximumClaims = 100

    enum Role: String, Sendable {
        case leader
        case standby
        /// With leader election, before the driver's name, and with it the Lease, is known.
        case starting
        /// Without leader election.
        case single
    }

    var build: CommonMetrics.Build
    /// `unknown-driver` until the driver is identified.
    var driverName: String
    var hasLeaderElection: Bool
    var snapshot: SidecarSnapshot
    var readiness: Readiness
    /// The latest first.
    var recentErrors: [RecentErrors.Entry] = []
    /// Since the program started.
    var uptime: Duration
    /// The wall-clock time, in seconds since 1970.
    var now: Double

    var role: Role {
        switch (snapshot.lease?.isHeld, hasLeaderElection) {
        case (true?, _): .leader
        case (false?, _): .standby
        case (nil, true): .starting
        case (nil, false): .single
        }
    }

    /// The checks of `/readyz`, their reasons bounded.
    var checks: [HealthChecks.Result] { readiness.checks.map(\.bounded) }

    /// The claims to show: those with the worst conditions, by name.
    var shownClaims: [HealthSnapshot.UnhealthyClaim] {
        let claims = snapshot.health?.unhealthyClaims ?? []
        return Array(claims.sorted(by: Self.precedes).prefix(Self.maximumClaims))
    }

    var omittedClaims: Int { max(0, (snapshot.health?.unhealthyClaims.count ?? 0) - Self.maximumClaims) }

    private static func precedes(
        _ first: HealthSnapshot.UnhealthyClaim,
        _ second: HealthSnapshot.UnhealthyClaim
    ) -> Bool {
        if let status = first.state.conditions.first?.status, let other = second.state.conditions.first?.status,
            status != other
        {
            return status > other
        }
        return (first.namespace, first.name) < (second.namespace, second.name)
    }

    /// When something was that is `age` old.
    func date(_ age: Duration) -> UTCDate { UTCDate(secondsSince1970: now - age / .seconds(1)) }
}
