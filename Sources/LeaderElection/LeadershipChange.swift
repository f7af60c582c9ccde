// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A change of leadership, as the elector reports it.
package enum LeadershipChange: Sendable {
    /// How leadership ended.
    package enum End: Sendable {
        /// The Lease could not be renewed, or another candidate has taken it.
        case lost
        /// The Lease was released because the leader could not do the work.
        case steppedDown(StepDown)
        /// The Lease was released because the work has ended.
        case released
    }

    /// This candidate acquired the Lease.
    case began
    case ended(End)
}

/// Thrown by a leader's work: the elector releases the Lease, because this process cannot do the work now and another
/// replica may be able to.
package struct StepDown: Error {
    /// For metrics: one of a few constants.
    package var kind: String
    /// For the log and for events.
    package var reason: String

    package init(kind: String, reason: String) {
        self.kind = kind
        self.reason = reason
    }
}
