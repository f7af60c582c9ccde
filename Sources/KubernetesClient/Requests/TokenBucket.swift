// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How many requests a client sends: `queriesPerSecond` in the long run, `burst` at once.
package struct RateLimit: Sendable, Hashable {
    /// Above 0.
    package var queriesPerSecond: Double
    /// At least 1.
    package var burst: Int

    /// Describes a limit.
    package init(queriesPerSecond: Double, burst: Int) {
        precondition(queriesPerSecond > 0 && burst >= 1, "a rate limit that lets nothing through")
        self.queriesPerSecond = queriesPerSecond
        self.burst = burst
    }
}

/// A token bucket that gives out turns in the future: who takes a token that is not there yet waits for it.
package struct TokenBucket {
    /// The longest wait, in seconds: as good as for ever, and no more than any clock can add to its time.
    private static let longestWait = 1e9

    private let limit: RateLimit
    /// Below zero: so many turns are given out that have not come yet.
    private var tokens: Double
    private var updated: Duration

    /// - Parameter now: on any clock that does not go back; the same in every call.
    package init(_ limit: RateLimit, now: Duration) {
        self.limit = limit
        tokens = Double(limit.burst)
        updated = now
    }

    /// Takes a turn. Returns how long it is until then.
    package mutating func take(now: Duration) -> Duration {
        tokens = min(Double(limit.burst), tokens + (now - updated) / .seconds(1) * limit.queriesPerSecond)
        updated = now
        tokens -= 1
        return tokens >= 0 ? .zero : .seconds(min(-tokens / limit.queriesPerSecond, Self.longestWait))
    }
}
