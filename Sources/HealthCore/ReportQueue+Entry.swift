// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What the queue keeps of each key.
extension ReportQueue {
    /// The state that the API server shows.
    struct Reported: Equatable {
        /// nil when an earlier process reported it and only the fingerprint is known.
        var state: State?
        var fingerprint: Fingerprint
    }

    struct Entry {
        /// The current state; nil until this process knows it.
        var current: State?
        /// Since when ``current`` has its fingerprint.
        var since = Duration.zero
        /// nil: nothing was reported, or the recovery was.
        var reported: Reported?
        var lastReported = Duration.zero
        /// The current item in one of the queues; other items with this key are stale.
        var scheduled: Scheduled?
        /// The last attempt whose response was lost.
        var lost: LostAttempt?
        /// The response to a report of another state was lost: the API server may show that state, or ``reported``. The
        /// current state is reported in any case; a recovery event too many does less harm than one that never comes.
        var isUncertain = false
        /// The count of the event about ``reported``; 0: not known.
        var count: UInt32 = 0
    }

    /// The back-off of a report whose last attempt was refused or failed.
    struct RetryBackoff {
        /// How many attempts in a row.
        var failures: Int
        var notBefore: Duration
    }

    /// A report under way.
    struct Attempt {
        var state: State
        var began: Duration
        /// What the API server has shown since the attempt began.
        var observed: Observed?
        var id: UInt64
        var number: UInt64
    }

    /// What the API server was observed to show.
    enum Observed: Equatable {
        case state(State)
        /// Something that corresponds to no state.
        case other
    }

    /// An attempt that the API server may have applied or not.
    struct LostAttempt: Equatable {
        /// nil: a recovery.
        var fingerprint: Fingerprint?
        /// The id of the first attempt.
        var id: UInt64
    }

    struct Scheduled: Equatable {
        var due: Duration
        var ticket: DueQueue<Key>.Ticket
        var cause: ReportCause
    }
}
