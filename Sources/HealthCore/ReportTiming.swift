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
    /// The event on a lasting outage of the driver: as ``lastingEvents``, but changes of its numbers show within a minute.
    package static let outageEvents = ReportTiming(
        refreshInterval: .seconds(30 * 60),
        messageInterval: .seconds(60)
    )
    /// The shortest time between refreshes, where the API server's event lifetime is very short.
    static let minimumRefreshInterval = Duration.seconds(120)
    /// Events that are recorded once.
    package static let singleEvents = ReportTiming(refreshInterval: nil, messageInterval: nil)
    /// Fields of an object, which keep what is written: there is nothing to refresh.
    package static let fields = ReportTiming(refreshInterval: nil, messageInterval: .seconds(10 * 60))

    func backoff(afterFailures failures: Int) -> Duration {
        retries.delay(afterFailures: failures)
    }
}

/// The outcome of an attempt to report something.
package enum ReportOutcome: Sendable, Hashable {
    /// The API server applied the report.
    case reported
    /// The API server refused this report because of its object: it is retried after a back-off of its own.
    case refused
    /// The request failed, and others in the same namespace may fail too: a missing RBAC rule, a quota, a webhook that
    /// does not respond, an overloaded server, a proxy that ends slow requests. Other namespaces do not wait.
    case failed(RequestFailure)
    /// There is no connection to the API server: all reports wait. The report was not applied.
    case unreachable
    /// The target or its namespace is gone: the report is dropped.
    case gone

    /// Whether it is unknown if the API server applied the report.
    package var isUncertain: Bool {
        switch self {
        case .failed(let failure): failure.isUncertain
        case .reported, .refused, .unreachable, .gone: false
        }
    }
}

/// A failed request: what later requests need to know of it.
package struct RequestFailure: Sendable, Hashable {
    /// The API server may have applied the request.
    package var isUncertain: Bool
    /// RBAC forbids the request.
    package var isForbidden: Bool
    /// `Retry-After` of the response.
    package var retryAfter: Duration?

    /// Without arguments: a failure that changed nothing.
    package init(isUncertain: Bool = false, isForbidden: Bool = false, retryAfter: Duration? = nil) {
        self.isUncertain = isUncertain
        self.isForbidden = isForbidden
        self.retryAfter = retryAfter
    }
}
