// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How often people are reported, and how fast a failing API server is asked again.
package struct ReportTiming: Sendable, Hashable {
    /// How long the same news last before they are reported once more; nil: they are reported once.
    package var refreshInterval: Duration?
    /// How soon changed details of the same news are reported; nil: never.
    package var messageInterval: Duration?
    /// The wait after a first failure. It doubles with each further one.
    package var initialBackoff: Duration
    /// The longest wait after failures.
    package var maximumBackoff: Duration

    /// Any timing; back-offs are from 1 to 60 seconds unless they are given.
    package init(
        refreshInterval: Duration?,
        messageInterval: Duration?,
        initialBackoff: Duration = .seconds(1),
        maximumBackoff: Duration = .seconds(60)
    ) {
        self.refreshInterval = refreshInterval
        self.messageInterval = messageInterval
        self.initialBackoff = initialBackoff
        self.maximumBackoff = maximumBackoff
    }

    /// Events that last: their count is raised every 30 minutes, below the API server's event lifetime (`--event-ttl`,
    /// one hour by default), so that the event of a lasting condition never expires.
    package static let lastingEvents = ReportTiming(
        refreshInterval: .seconds(30 * 60),
        messageInterval: .seconds(10 * 60)
    )
    /// The shortest time between refreshes, where the API server's event lifetime is very short.
    static let minimumRefreshInterval = Duration.seconds(120)
    /// Events that are reported once.
    package static let singleEvents = ReportTiming(refreshInterval: nil, messageInterval: nil)
    /// A field that keeps what is written to it.
    package static let fields = ReportTiming(refreshInterval: nil, messageInterval: .seconds(10 * 60))

    /// The wait after so many failures in a row.
    package func backoff(afterFailures failures: Int) -> Duration {
        exponentialBackoff(initial: initialBackoff, maximum: maximumBackoff, failures: failures)
    }

}

/// The wait after so many failures in a row: `initial`, then twice as long each time, never above `maximum`.
func exponentialBackoff(initial: Duration, maximum: Duration, failures: Int) -> Duration {
    min(initial * (1 << min(max(failures - 1, 0), 20)), maximum)
}

/// What whoever reports has to do next.
package enum ReportStep<Key: Hashable & Sendable, State: Reportable>: Sendable, Equatable {
    /// Report this, then say how it went.
    case report(PendingReport<Key, State>)
    /// Nothing is due before this moment; nil: before something new is observed.
    case wait(until: Duration?)
}

/// How a request to report something went.
package enum ReportOutcome: Sendable, Hashable {
    /// The API server has it.
    case reported
    /// The API server refused this one for what it is: tried again later, without holding up the others.
    case refused
    /// It failed, and others about the same namespace may as well: a missing rule, a quota, a webhook that does not answer,
    /// an overloaded server. The others wait for none of it.
    case failed(RequestFailure)
    /// There is no connection to the API server: everything waits. This was certainly not recorded.
    case unreachable
    /// The connection broke: everything waits, and this may have been recorded or not.
    case unanswered
    /// The claim or its namespace is gone: nothing is reported.
    case gone

    /// Whether it may have been recorded or not.
    package var isUncertain: Bool {
        switch self {
        case .unanswered: true
        case .failed(let failure): failure.isUncertain
        case .reported, .refused, .unreachable, .gone: false
        }
    }
}

/// What is known of a request that failed.
package struct RequestFailure: Sendable, Hashable {
    /// The API server may have done what was asked for.
    package var isUncertain: Bool
    /// The API server may not do this for us.
    package var isForbidden: Bool
    /// How long the API server asks to wait.
    package var retryAfter: Duration?

    /// A failure; without arguments, one that changed nothing.
    package init(isUncertain: Bool = false, isForbidden: Bool = false, retryAfter: Duration? = nil) {
        self.isUncertain = isUncertain
        self.isForbidden = isForbidden
        self.retryAfter = retryAfter
    }
}
