// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthCore
@testable import NodeCore

/// Volumes that begin and cease to hang at random, two pods for each: the limits of calls hold at every moment.
struct CallLimitPropertyTests {
    static let timeout = Duration.seconds(15)
    static let workerThreads = 6

    final class Model {
        var random: SeededGenerator
        var hanging: Set<String> = []

        init(seed: UInt64) { random = SeededGenerator(seed: seed) }
    }

    @Test(.tags(.rule10), arguments: 1...4 as ClosedRange<UInt64>)
    func `calls that hang are bounded at every moment`(seed: UInt64) {
        let model = Model(seed: seed)
        var node = Simulation(NodeHealthState.Configuration(workerThreads: Self.workerThreads), seed: seed)
        node.respond = { probe, _ in
            if model.hanging.contains(probe.volumeHandle) { return (.failed(.deadlineExceeded), Self.timeout) }
            return (.healthy, .milliseconds(Int.random(in: 1...3000, using: &model.random)))
        }
        node.state.beginRelist()
        for number in 0..<40 { node.apply(.named("p\(number)", claims: ["c\(number / 2)"])) }
        node.state.endRelist(at: node.now)
        for _ in 0..<1800 {
            if Int.random(in: 0..<20, using: &model.random) == 0 {
                let handle = "h-c\(Int.random(in: 0..<20, using: &model.random))"
                if model.hanging.remove(handle) == nil { model.hanging.insert(handle) }
            }
            node.run(for: .seconds(1))
            let handles = node.underWay.map(\.probe.volumeHandle)
            #expect(handles.count <= Self.workerThreads)
            #expect(Set(handles).count == handles.count)
        }
        checkGaps(node)
        model.hanging = []
        node.run(for: .seconds(2 * 1800))
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 40)
        #expect(node.state.snapshot(at: node.now).unresponsive.isEmpty)
    }

    /// After so many calls in a row without a response, the next one comes so many intervals later, unless the volume
    /// responds on another path meanwhile.
    private func checkGaps(_ node: Simulation) {
        let interval = node.state.configuration.interval
        for (_, calls) in Dictionary(grouping: node.calls, by: \.probe.key) {
            var failures = 0
            for (call, next) in zip(calls, calls.dropFirst()) {
                failures = call.outcome == .healthy ? 0 : failures + 1
                let isShared = node.calls.contains {
                    $0.probe.volumeHandle == call.probe.volumeHandle && $0.outcome == .healthy
                        && $0.ends >= call.ends && $0.ends <= next.began
                }
                guard failures > 0, !isShared else { continue }
                // The slot of a volume is fixed: a call that was late is up to an interval nearer to the next.
                let intervals = min(1 << (failures - 1), 30) - 1
                #expect(next.began - call.began > interval * intervals)
            }
        }
    }
}
