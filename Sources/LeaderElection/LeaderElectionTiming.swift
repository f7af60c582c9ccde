// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The three periods of leader election, as client-go names them.
package struct LeaderElectionTiming: Sendable, Hashable {
    /// How long a candidate leaves a leader alone after the last renewal it saw; the Lease stores its whole seconds.
    package let leaseDuration: Duration
    /// How long a leader tries to renew before it gives up by itself.
    package let renewDeadline: Duration
    /// How often a leader renews and a candidate looks.
    package let retryPeriod: Duration

    /// The lease duration as the Lease stores it, and as the other candidates count it.
    package var leaseDurationSeconds: Int32 { Int32(clamping: leaseDuration.components.seconds) }

    /// The defaults are EHM's.
    ///
    /// - Throws: ``LeaderElectionTimingError`` unless lease duration > renew deadline > 1.2 x retry period > 0, where of
    ///   the lease duration only its whole seconds count: the Lease stores no more, and a leader that went on for the
    ///   fraction would work beside the next one.
    package init(
        leaseDuration: Duration = .seconds(15),
        renewDeadline: Duration = .seconds(10),
        retryPeriod: Duration = .seconds(5)
    ) throws(LeaderElectionTimingError) {
        guard leaseDuration >= .seconds(1) else {
            throw LeaderElectionTimingError(message: "the lease duration (\(leaseDuration)) must be at least 1 second")
        }
        guard .seconds(Int64(Int32(clamping: leaseDuration.components.seconds))) > renewDeadline else {
            throw LeaderElectionTimingError(
                message: "the lease duration (\(leaseDuration), stored in whole seconds) must be greater than "
                    + "the renew deadline (\(renewDeadline))"
            )
        }
        guard retryPeriod > .zero else {
            throw LeaderElectionTimingError(message: "the retry period (\(retryPeriod)) must be greater than zero")
        }
        guard renewDeadline > retryPeriod * 1.2 else {
            throw LeaderElectionTimingError(
                message:
                    "the renew deadline (\(renewDeadline)) must be greater than 1.2 x the retry period (\(retryPeriod))"
            )
        }
        self.leaseDuration = leaseDuration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
    }
}

/// Periods that could not keep two leaders apart.
package struct LeaderElectionTimingError: Error, CustomStringConvertible {
    /// Which two periods, and how they must stand to each other.
    package var message: String

    /// The message.
    package var description: String { message }
}
