// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

@Suite struct TokenBucketTests {
    private let limit = RateLimit(queriesPerSecond: 5, burst: 10)

    @Test func `a burst is followed by single requests`() {
        var bucket = TokenBucket(limit, now: .zero)
        for _ in 0..<10 { #expect(bucket.take(now: .zero) == .zero) }
        #expect(bucket.take(now: .zero) == .milliseconds(200))
        #expect(bucket.take(now: .zero) == .milliseconds(400))
        // A second later, two of the five new tokens are taken already.
        for _ in 0..<3 { #expect(bucket.take(now: .seconds(1)) == .zero) }
        #expect(bucket.take(now: .seconds(1)) == .milliseconds(200))
    }

    /// As the reports of a leader that has lost its lease.
    @Test func `takers that do not wait delay nobody`() {
        var bucket = TokenBucket(limit, now: .zero)
        for _ in 0..<74 { _ = bucket.take(now: .zero) }
        for _ in 0..<64 { bucket.giveBack() }
        #expect(bucket.take(now: .zero) == .milliseconds(200))
        for _ in 0..<100 { bucket.giveBack() }
        for _ in 0..<10 { #expect(bucket.take(now: .zero) == .zero) }
        #expect(bucket.take(now: .zero) > .zero)
    }

    @Test func `an idle time never allows more than the burst`() {
        var bucket = TokenBucket(limit, now: .zero)
        for _ in 0..<10 { #expect(bucket.take(now: .seconds(3600)) == .zero) }
        #expect(bucket.take(now: .seconds(3600)) > .zero)
    }

    @Test(arguments: [1e-12, 1e-300, Double.leastNonzeroMagnitude])
    func `a rate near zero is a wait of years`(rate: Double) {
        var bucket = TokenBucket(RateLimit(queriesPerSecond: rate, burst: 1), now: .zero)
        #expect(bucket.take(now: .zero) == .zero)
        #expect(bucket.take(now: .zero) == .seconds(1_000_000_000))
    }

    /// For any sequence of requests, at most burst + qps x time are sent until any time.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func `the rate is never exceeded`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var bucket = TokenBucket(limit, now: .zero)
        var now = Duration.zero
        for count in 1...1000 {
            now += .milliseconds(Int.random(in: 0...300, using: &random))
            let sent = now + bucket.take(now: now)
            // A microsecond for rounding errors.
            let earliest = Duration.milliseconds(200 * (count - 10)) - .microseconds(1)
            #expect(sent >= earliest)
        }
    }
}
