// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How often a lasting state is reported again, and how soon a failed report is retried.
package struct ReportTiming: Sendable, Hashable {
    /// How long an unchanged state lasts before it is reported again; nil: it is reported once.
    package var refreshInterval: Duration?
    /// How soon changed details of a state are reported; nil: never.
    package var messageInterval: Duration?
    /// The delays between failed attempts.
    package var retries: Backoff

    package init(
        refreshInterval: Duration?,
        messageInterval: Duration?,
        retries: Backoff = Backoff(initial: .seconds(1), maximum: .seconds(60))
    ) {
        self.refreshInterval = refreshInterval
        self.messageInterval = messageInterval
        self.retries = retries
    }

    /// Events on lasting states: their count is raised every 30 minutes, below the API server's event lifetime
    /// (`--event-ttl`, one hour by default), so that the event of a lasting condition never expires.
    package static let lastingEvents = ReportTiming(
        refreshInterval: .seconds(30 * 60),
        messageInterval: .seconds(10 * 60)
    )
    /// The shortest time between refreshes, where the API server's event lifetime is very short.
    static let minimumRefreshInterval = Duration.seconds(120)
    /// Events that are recorded once.
    package static let singleEvents = ReportTiming(refreshInterval: nil, messageInterval: nil)
    /// Fields of an object, which keep what is written to them.
    package static let fields = ReportTiming(refreshInterval: nil, messageInterval: .seconds(10 * 60))

    func backoff(afterFailures failures: Int) -> Duration {
        retries.delay(afterFailures: failures)
    }
}

/// An exponential back-off.
package struct Backoff: Sendable, Hashable {
    /// The delay after the first failure.
    package var initial: Duration
    package var maximum: Duration

    package init(initial: Duration, maximum: Duration) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The delay after so many failures in a row: twice as long each time, up to the maximum.
    package func delay(afterFailures failures: Int) -> Duration {
        min(initial * (1 << min(max(failures - 1, 0), 20)), maximum)
    }
}

/// What a reporter does next.
package enum ReportStep<Key: Hashable & Sendable, State: Reportable, Target: ReportTarget>: Sendable, Equatable {
    /// Report this, then call `complete`.
    case report(PendingReport<Key, State, Target>)
    /// Nothing is due before this moment; nil: before a state changes.
    case wait(until: Duration?)
}

/// The outcome of an attempt to report something.
package enum ReportOutcome: Sendable, Hashable {
    /// The API server has applied it.
    case reported
    /// The API server refused this one for what it is: it is retried after a back-off of its own.
    case refused
    /// It failed, and others in the same namespace may as well: a missing rule, a quota, a webhook that does not respond, an
    /// overloaded server. Other namespaces do not wait.
    case failed(RequestFailure)
    /// There is no connection to the API server: everything waits. It was not applied.
    case unreachable
    /// The connection broke: everything waits. It may have been applied or not.
    case unanswered
    /// The target or its namespace is gone: nothing is reported.
    case gone

    /// Whether it may have been applied or not.
    package var isUncertain: Bool {
        switch self {
        case .unanswered: true
        case .failed(let failure): failure.isUncertain
        case .reported, .refused, .unreachable, .gone: false
        }
    }
}

/// A request that failed, as far as later requests depend on it.
package struct RequestFailure: Sendable, Hashable {
    /// The API server may have applied it.
    package var isUncertain: Bool
    /// RBAC forbids it.
    package var isForbidden: Bool
    /// `Retry-After` of the response.
    package var retryAfter: Duration?

    /// Without arguments, a failure that changed nothing.
    package init(isUncertain: Bool = false, isForbidden: Bool = false, retryAfter: Duration? = nil) {
        self.isUncertain = isUncertain
        self.isForbidden = isForbidden
        self.retryAfter = retryAfter
    }
}
