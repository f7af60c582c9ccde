// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The three periods of leader election, named as in client-go.
package struct LeaderElectionTiming: Sendable, Hashable {
    /// How long candidates wait after the last renewal they observed before they acquire the Lease.
    package let leaseDuration: Duration
    /// How long a leader retries a renewal before it stops leading.
    package let renewDeadline: Duration
    /// The time between two renewals of a leader, and between two attempts of a candidate.
    package let retryPeriod: Duration

    /// The lease duration as the Lease stores it: whole seconds.
    package var leaseDurationSeconds: Int32 { Int32(clamping: leaseDuration.components.seconds) }

    /// The lease duration that other candidates observe: whole seconds.
    var storedLeaseDuration: Duration { .seconds(Int64(leaseDurationSeconds)) }

    /// The defaults are those of kubernetes-csi/csi-lib-utils.
    ///
    /// - Throws: ``LeaderElectionTimingError`` unless lease duration > renew deadline > 1.2 x retry period > 0. Only
    ///   the whole seconds of the lease duration count, because the Lease stores no more: a leader that also used the
    ///   fraction would overlap with the next one.
    package init(
        leaseDuration: Duration = .seconds(15),
        renewDeadline: Duration = .seconds(10),
        retryPeriod: Duration = .seconds(5)
    ) throws(LeaderElectionTimingError) {
        self.leaseDuration = leaseDuration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
        guard leaseDuration >= .seconds(1) else {
            throw LeaderElectionTimingError(message: "the lease duration (\(leaseDuration)) must be at least 1 second")
        }
        guard storedLeaseDuration > renewDeadline else {
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
    }
}

package struct LeaderElectionTimingError: Error, CustomStringConvertible {
    /// Names the two periods and how they must relate to each other.
    package var message: String

    package var description: String { message }
}
