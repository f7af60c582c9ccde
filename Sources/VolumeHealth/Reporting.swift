// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How often people are told, and how fast a failing API server is asked again.
public struct ReportTiming: Sendable, Hashable {
    /// How long the same conditions last before they are told once more. Below the API server's event lifetime
    /// (`--event-ttl`, one hour by default), so that an event of a lasting condition never expires.
    public var refreshInterval: Duration
    /// How soon a changed message of the same conditions is told.
    public var messageInterval: Duration
    /// The wait after a first failure. It doubles with each further one.
    public var initialBackoff: Duration
    /// The longest wait after failures.
    public var maximumBackoff: Duration

    /// The defaults are what the documentation promises.
    public init(
        refreshInterval: Duration = .seconds(30 * 60),
        messageInterval: Duration = .seconds(10 * 60),
        initialBackoff: Duration = .seconds(1),
        maximumBackoff: Duration = .seconds(60)
    ) {
        self.refreshInterval = refreshInterval
        self.messageInterval = messageInterval
        self.initialBackoff = initialBackoff
        self.maximumBackoff = maximumBackoff
    }

    func backoff(afterFailures failures: Int) -> Duration {
        exponentialBackoff(initial: initialBackoff, maximum: maximumBackoff, failures: failures)
    }
}

/// The wait after so many failures in a row: `initial`, then twice as long each time, never above `maximum`.
func exponentialBackoff(initial: Duration, maximum: Duration, failures: Int) -> Duration {
    min(initial * (1 << min(max(failures - 1, 0), 20)), maximum)
}

/// What whoever reports has to do next.
public enum ReportStep: Sendable, Hashable {
    /// Tell this, then say how it went.
    case tell(Announcement)
    /// Nothing is due before this moment; nil: before something new is observed.
    case wait(until: Duration?)
}

/// How telling something went.
public enum ReportOutcome: Sendable, Hashable {
    /// The API server has it.
    case told
    /// The API server refused this one: tried again later, without holding up the others.
    case refused
    /// The API server could not be asked, or asks for a pause: everything waits. This was certainly not told.
    case unreachable(retryAfter: Duration?)
    /// The answer was lost: everything waits, and this may have been told or not.
    case unanswered
    /// The claim or its namespace is gone: there is nobody to tell.
    case gone
}
