// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How many requests there were, and in which seconds, without the requests themselves.
struct RequestRate: Sendable {
    private(set) var count = 0
    /// When the latest request was made.
    private(set) var last: ContinuousClock.Instant?
    private var first: ContinuousClock.Instant?
    /// By the seconds since the first request.
    private var perSecond: [Int: Int] = [:]

    mutating func add(_ time: ContinuousClock.Instant) {
        let first = first ?? time
        self.first = first
        count += 1
        last = max(last ?? time, time)
        perSecond[Int(((time - first) / .seconds(1)).rounded(.down)), default: 0] += 1
    }

    /// The greatest number of requests in a second.
    var peakPerSecond: Int { perSecond.values.max() ?? 0 }
}
