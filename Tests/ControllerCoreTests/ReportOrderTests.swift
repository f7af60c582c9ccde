// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

@Suite struct ReportOrderTests {
    private typealias Queue = ReportQueue<Int, VolumeState, Claim>

    private static func state(_ status: VolumeHealthCondition.Status) -> VolumeState {
        VolumeState([.init(status: status, reason: "R", message: "")])
    }

    private static func rank(_ state: VolumeState) -> Int {
        switch state.conditions.first?.status {
        case .dataLoss: 0
        case .inaccessible: 1
        case .degraded: 2
        case nil: 3
        }
    }

    private static func next(_ queue: inout Queue, at now: Duration) -> Queue.Report? {
        queue.next(at: now) { .named("c\($0)", in: "n\($0)") }.job
    }

    /// Random transitions at random times, some of them in back-off, against a sort of what is due.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `what is due is handed out by rank and age, and nothing else changes`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = Queue(timing: .lastingEvents)
        var now = Duration.zero
        var states: [Int: (state: VolumeState, since: Duration)] = [:]
        var isBackedOff: Set<Int> = []
        for key in 0..<Int.random(in: 0...30, using: &random) {
            now += .seconds(Int.random(in: 0...2, using: &random))
            let state = Self.state(VolumeHealthCondition.Status.allCases.randomElement(using: &random) ?? .degraded)
            queue.set(state, for: key, at: now)
            states[key] = (state, now)
        }
        // Refused reports wait for their back-off, and are not due.
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            guard let report = Self.next(&queue, at: now) else { break }
            queue.complete(report, .refused, at: now)
            isBackedOff.insert(report.key)
        }
        let (plans, adds) = (queue.plans, queue.adds)
        queue.orderDueTransitions(at: now, by: Self.rank)
        #expect(queue.plans == plans && queue.adds == adds)
        var handedOut: [Int] = []
        while let report = Self.next(&queue, at: now) { handedOut.append(report.key) }
        let due = states.filter { !isBackedOff.contains($0.key) }
        let expected = due.sorted { left, right in
            (Self.rank(left.value.state), left.value.since, left.key)
                < (Self.rank(right.value.state), right.value.since, right.key)
        }
        #expect(handedOut == expected.map(\.key), "seed \(seed)")
        var later: Set<Int> = []
        while let report = Self.next(&queue, at: now + .seconds(60)) { later.insert(report.key) }
        #expect(later == isBackedOff, "seed \(seed)")
    }

    @Test func `a state that changes after it was put in order is handed out once`() {
        var queue = Queue(timing: .lastingEvents)
        for key in 0..<3 { queue.set(Self.state(.degraded), for: key, at: .zero) }
        queue.set(Self.state(.dataLoss), for: 2, at: .seconds(1))
        queue.orderDueTransitions(at: .seconds(1), by: Self.rank)
        queue.set(.clear, for: 0, at: .seconds(2))
        #expect(Self.next(&queue, at: .seconds(2))?.key == 2)
        #expect(Self.next(&queue, at: .seconds(2))?.key == 1)
        #expect(Self.next(&queue, at: .seconds(2)) == nil)
    }
}
