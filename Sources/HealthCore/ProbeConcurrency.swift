// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How many calls for single volumes may be under way to the driver at once.
///
/// An additive-increase, multiplicative-decrease limit that follows latency, as TCP Vegas does
/// (https://doi.org/10.1145/190314.190317): above the number of calls that the array serves in parallel, one more call
/// adds to the queue and to nothing else. The typical latency of a window of calls is compared with the unloaded one:
///
/// - below 1.2 times, the limit grows by one, where calls reached it;
/// - above 1.4 times, it shrinks by one; from 2 times on, it is halved;
/// - a call that fails because of load halves it, once for all the calls that started before.
///
/// The unloaded latency is measured, not the least ever seen: at times the limit is halved for one window. An array
/// that becomes slower for good therefore gets its calls back: a queue gets shorter by a cut, and a slow array does
/// not. A growth that had to be undone is tried again after more and more windows.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock. The memory is bounded; a call
/// costs the same whatever the limit is, and the last one of a window sorts it.
package struct ProbeConcurrency: Sendable {
    /// What the result of a call says about the driver's load.
    package enum Result: Sendable, Hashable {
        /// OK, NOT_FOUND, and every error that is not caused by load.
        case responded
        /// DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED or UNAVAILABLE.
        case overloaded
    }

    /// Why the limit has its value.
    private enum Cause {
        case steady
        case growth
        /// Halved because of this latency.
        case latency(Duration)
        /// Halved for one window, which measures the unloaded latency; afterwards this limit applies.
        case measurement(then: Int)
    }

    /// How many calls may be under way: from 1 to the maximum.
    package private(set) var limit: Int

    private let maximum: Int
    private var cause = Cause.steady
    /// When the present limit was set: the latency of calls that started before is not used.
    private var limitSince: Duration?
    /// When the limit was last cut: calls that started before do not cut it again.
    private var cutAt: Duration?
    /// The latencies of the calls that started under the present limit and ended in this window.
    private var window: [Duration] = []
    private var isLimitReached = false
    /// The unloaded latency; nil until the first window ends.
    private var unloaded: Duration?
    private var windowsSinceMeasurement = 0
    /// Consecutive windows after which the limit could have grown.
    private var goodWindows = 0
    /// How many such windows the limit needs to grow.
    private var patience = 1

    private static let windowSizes = 16...64
    private static let measurementInterval = 24
    /// The age of a measurement, in windows, from which on the unloaded latency is measured again before the limit
    /// shrinks.
    private static let freshMeasurement = 8
    private static let maximumPatience = 16

    /// Starts with two concurrent calls, or one if the maximum is 1. A maximum below 1 counts as 1.
    package init(maximum: Int) {
        self.maximum = max(1, maximum)
        self.limit = min(2, self.maximum)
    }

    /// A call ended.
    ///
    /// - Parameter underWay: how many calls were under way just before, this one included.
    package mutating func callEnded(_ result: Result, took: Duration, at now: Duration, underWay: Int) {
        let latency = min(max(took, .zero), .seconds(86_400))
        let start = now - latency
        if result == .overloaded {
            if let cutAt, start < cutAt { return }
            noteFailedGrowth()
            cutAt = now
            setLimit(limit / 2, .steady, at: now)
            return
        }
        if let limitSince, start < limitSince { return }
        if underWay >= limit { isLimitReached = true }
        window.append(latency)
        guard window.count >= min(max(limit, Self.windowSizes.lowerBound), Self.windowSizes.upperBound) else { return }
        windowEnded(latency: typicalLatency(), at: now)
        window.removeAll(keepingCapacity: true)
        isLimitReached = false
    }

    /// The mean without the lowest and the highest eighth. A median would hide a queue in which only some calls wait.
    private mutating func typicalLatency() -> Duration {
        window.sort()
        let trimmed = window[window.count / 8..<window.count - window.count / 8]
        return trimmed.reduce(.zero, +) / trimmed.count
    }

    private mutating func windowEnded(latency: Duration, at now: Duration) {
        windowsSinceMeasurement += 1
        guard var unloaded else {
            unloaded = latency
            if limit > 1 { measure(then: limit, at: now) }
            return
        }
        switch cause {
        case .measurement(let next):
            self.unloaded = latency
            setLimit(next, .steady, at: now)
            return
        case .latency(let before) where latency * 4 > before * 3:
            // Half of the calls have almost the same latency: the array became slower, and not because of the calls.
            unloaded = latency
        case .steady, .growth, .latency: break
        }
        if limit == 1 {
            unloaded = latency
        } else if latency < unloaded {
            // Moves only halfway, because one window may be fast by chance.
            unloaded = (unloaded + latency) / 2
        }
        self.unloaded = unloaded
        adjust(latency: latency, unloaded: unloaded, at: now)
    }

    private mutating func adjust(latency: Duration, unloaded: Duration, at now: Duration) {
        if limit > 1, latency >= unloaded * 2 {
            noteFailedGrowth()
            cutAt = now
            setLimit(limit / 2, .latency(latency), at: now)
        } else if limit > 1, latency * 5 > unloaded * 7 {
            noteFailedGrowth()
            if windowsSinceMeasurement >= Self.freshMeasurement {
                measure(then: limit - 1, at: now)
            } else {
                setLimit(limit - 1, .steady, at: now)
            }
        } else if limit > 1, isLimitReached, windowsSinceMeasurement >= Self.measurementInterval {
            measure(then: limit, at: now)
        } else if limit < maximum, isLimitReached, latency * 5 <= unloaded * 6 {
            if case .growth = cause { patience = 1 }
            cause = .steady
            goodWindows += 1
            if goodWindows >= patience { setLimit(limit + 1, .growth, at: now) }
        } else {
            cause = .steady
        }
    }

    private mutating func noteFailedGrowth() {
        if case .growth = cause { patience = min(patience * 2, Self.maximumPatience) }
    }

    private mutating func measure(then next: Int, at now: Duration) {
        windowsSinceMeasurement = 0
        setLimit(limit / 2, .measurement(then: next), at: now)
    }

    private mutating func setLimit(_ limit: Int, _ cause: Cause, at now: Duration) {
        self.limit = min(max(limit, 1), maximum)
        self.cause = cause
        limitSince = now
        goodWindows = 0
        window.removeAll(keepingCapacity: true)
        isLimitReached = false
    }
}
