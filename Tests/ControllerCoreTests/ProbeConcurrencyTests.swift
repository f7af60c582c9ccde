// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

@Suite struct ProbeConcurrencyTests {
    @Test(arguments: [1, 2, 4, 8, 16], [0.005, 0.1, 2])
    func `the queue stays short and the throughput near the best`(servers: Int, service: Double) {
        for (seed, maximum) in [(1 as UInt64, 3), (2, 32)] {
            var array = SimulatedArray(servers: servers, service: service, seed: seed)
            var concurrency = ProbeConcurrency(maximum: maximum)
            _ = array.run(&concurrency, calls: 2000)
            let steady = array.run(&concurrency, calls: 3000)
            #expect(steady.median <= 1.5 * service)
            // More calls than servers only lengthen the queue.
            let best =
                (1...min(maximum, servers + 1)).map { limit in
                    var fixed = SimulatedArray(servers: servers, service: service, seed: seed)
                    return fixed.run(limit: limit, calls: 300).throughput
                }
                .max() ?? 0
            #expect(steady.throughput >= 0.9 * best)
        }
    }

    @Test(arguments: [1.0 / 3, 3])
    func `the limit follows an array that becomes slower or faster for good`(factor: Double) {
        for servers in [1, 4, 16] {
            var array = SimulatedArray(servers: servers, service: 0.1, seed: 7)
            var concurrency = ProbeConcurrency(maximum: 32)
            _ = array.run(&concurrency, calls: 2000)
            array.service *= factor
            _ = array.run(&concurrency, calls: 2000)
            let steady = array.run(&concurrency, calls: 3000)
            #expect(steady.median <= 1.5 * array.service)
            #expect(steady.throughput >= 0.9 * Double(servers) / array.service)
        }
    }

    @Test func `a call that fails because of load halves the limit once per round`() {
        var concurrency = grown(to: 16)
        let failure = Duration.seconds(1000)
        concurrency.callEnded(.overloaded, took: .seconds(1), at: failure, underWay: 16)
        #expect(concurrency.limit == 8)
        concurrency.callEnded(.overloaded, took: .seconds(3), at: failure + .seconds(2), underWay: 15)
        #expect(concurrency.limit == 8)
        concurrency.callEnded(.overloaded, took: .seconds(1), at: failure + .seconds(2), underWay: 8)
        #expect(concurrency.limit == 4)
        for second in 3..<10 {
            concurrency.callEnded(.overloaded, took: .zero, at: failure + .seconds(second), underWay: 1)
        }
        #expect(concurrency.limit == 1)
    }

    @Test func `the limit does not grow while calls do not reach it`() {
        var concurrency = ProbeConcurrency(maximum: 16)
        var largest = 0
        for second in 1...2000 {
            concurrency.callEnded(.responded, took: .milliseconds(10), at: .seconds(second), underWay: 1)
            largest = max(largest, concurrency.limit)
        }
        #expect(largest <= 2)
    }

    @Test func `twice the latency halves the limit`() {
        var concurrency = grown(to: 8)
        var limits: [Int] = []
        for call in 1...16 {
            concurrency.callEnded(.responded, took: .seconds(5), at: .seconds(1000 + 10 * call), underWay: 8)
            limits.append(concurrency.limit)
        }
        #expect(limits == Array(repeating: 8, count: 15) + [4])
    }

    @Test(arguments: [-3, 0, 1])
    func `a maximum of one or less allows one call`(maximum: Int) {
        var concurrency = ProbeConcurrency(maximum: maximum)
        #expect(concurrency.limit == 1)
        for second in 1...200 {
            concurrency.callEnded(.responded, took: .milliseconds(10), at: .seconds(second), underWay: 1)
            #expect(concurrency.limit == 1)
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `the limit stays between one and the maximum`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let maximum = Int.random(in: 1...40, using: &random)
        var concurrency = ProbeConcurrency(maximum: maximum)
        let durations: [Duration] = [.seconds(-1), .zero, .nanoseconds(1), .seconds(1), .seconds(Int64.max)]
        for _ in 0..<2000 {
            let usual = Duration.milliseconds(Int.random(in: 1...100, using: &random))
            let isOdd = Int.random(in: 0..<50, using: &random) == 0
            concurrency.callEnded(
                Int.random(in: 0..<100, using: &random) == 0 ? .overloaded : .responded,
                took: isOdd ? durations.randomElement(using: &random) ?? usual : usual,
                at: isOdd ? durations.randomElement(using: &random) ?? usual : usual,
                underWay: Int.random(in: -1...50, using: &random)
            )
            #expect((1...maximum).contains(concurrency.limit))
        }
    }

    /// The concurrency after fast calls, one every 100 ms for at most 900 s, have raised its limit.
    private func grown(to limit: Int) -> ProbeConcurrency {
        var concurrency = ProbeConcurrency(maximum: limit)
        var milliseconds = 0
        while concurrency.limit < limit, milliseconds < 900_000 {
            milliseconds += 100
            concurrency.callEnded(
                .responded,
                took: .milliseconds(10),
                at: .milliseconds(milliseconds),
                underWay: concurrency.limit
            )
        }
        #expect(concurrency.limit == limit)
        return concurrency
    }
}

/// An array that serves some calls in parallel, each for the same time give or take 20 %, and queues the others. The
/// caller keeps as many calls in flight as its limit allows.
private struct SimulatedArray {
    let servers: Int
    /// In seconds.
    var service: Double
    private var random: SeededGenerator
    private var now = 0.0
    private var served: [(start: Double, end: Double)] = []
    private var waiting: [Double] = []

    init(servers: Int, service: Double, seed: UInt64) {
        self.servers = servers
        self.service = service
        random = SeededGenerator(seed: seed)
    }

    mutating func run(_ concurrency: inout ProbeConcurrency, calls: Int) -> (median: Double, throughput: Double) {
        run(calls: calls, limit: concurrency.limit) { latency, now, underWay in
            concurrency.callEnded(.responded, took: .seconds(latency), at: .seconds(now), underWay: underWay)
            return concurrency.limit
        }
    }

    mutating func run(limit: Int, calls: Int) -> (median: Double, throughput: Double) {
        run(calls: calls, limit: limit) { _, _, _ in limit }
    }

    /// Calls `ended` at the end of each call. It returns the new limit.
    private mutating func run(
        calls: Int,
        limit: Int,
        ended: (_ latency: Double, _ now: Double, _ underWay: Int) -> Int
    ) -> (median: Double, throughput: Double) {
        var limit = limit
        let began = now
        var latencies: [Double] = []
        for _ in 0..<calls {
            while served.count + waiting.count < limit { waiting.append(now) }
            while served.count < servers, !waiting.isEmpty {
                let length = service * Double.random(in: 0.8...1.2, using: &random)
                served.append((start: waiting.removeFirst(), end: now + length))
            }
            let underWay = served.count + waiting.count
            guard let first = served.indices.min(by: { served[$0].end < served[$1].end }) else { break }
            let call = served.remove(at: first)
            now = call.end
            latencies.append(now - call.start)
            limit = ended(now - call.start, now, underWay)
        }
        latencies.sort()
        return (latencies[latencies.count / 2], Double(calls) / (now - began))
    }
}
