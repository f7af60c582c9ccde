// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A client-side rate limit: client-go's QPS and burst.
package struct RateLimit: Sendable, Hashable {
    /// Requests per second in the long run; greater than 0.
    package var queriesPerSecond: Double
    /// Requests at once; at least 1.
    package var burst: Int

    package init(queriesPerSecond: Double, burst: Int) {
        precondition(queriesPerSecond > 0 && burst >= 1, "a rate limit must allow requests")
        self.queriesPerSecond = queriesPerSecond
        self.burst = burst
    }
}

/// A token bucket whose tokens can be taken in advance: the taker of a token that is not available yet waits for it.
package struct TokenBucket {
    /// In seconds: practically forever, but within the range of every clock.
    private static let longestWait = 1e9

    private let limit: RateLimit
    /// Negative: the number of tokens that were taken in advance.
    private var tokens: Double
    private var updated: Duration

    /// - Parameter now: the time since any fixed moment of a monotonic clock.
    package init(_ limit: RateLimit, now: Duration) {
        self.limit = limit
        tokens = Double(limit.burst)
        updated = now
    }

    /// Takes a token.
    ///
    /// - Returns: how long the caller must wait before its request.
    package mutating func take(now: Duration) -> Duration {
        tokens = min(Double(limit.burst), tokens + (now - updated) / .seconds(1) * limit.queriesPerSecond)
        updated = now
        tokens -= 1
        return tokens >= 0 ? .zero : .seconds(min(-tokens / limit.queriesPerSecond, Self.longestWait))
    }

    /// Returns a token whose taker does not wait for it: client-go's limiter cancels its reservation.
    package mutating func giveBack() {
        tokens = min(Double(limit.burst), tokens + 1)
    }
}
