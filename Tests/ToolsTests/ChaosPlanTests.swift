// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import tools

@Suite struct ChaosPlanTests {
    static let sides = [ChaosFault.all, ChaosFault.allOnNode]

    @Test(arguments: sides) func `every fault comes once before any comes again`(faults: [ChaosFault]) {
        for seed in 1...20 as ClosedRange<UInt64> {
            var plan = ChaosPlan(seed: seed, faults: faults, volumes: 4)
            let first = faults.map { _ in plan.next().faults[0] }
            #expect(Set(first) == Set(faults))
        }
    }

    @Test(arguments: sides) func `a seed determines the rounds`(faults: [ChaosFault]) {
        var plans = (0..<2).map { _ in ChaosPlan(seed: 7, faults: faults, volumes: 12) }
        for _ in 0..<100 {
            let (one, other) = (plans[0].next(), plans[1].next())
            #expect(one.faults == other.faults)
            #expect(one.changes == other.changes)
            #expect(one.relapses == other.relapses)
            #expect(one.milliseconds == other.milliseconds)
        }
    }

    @Test(arguments: sides) func `faults that exclude each other are not active at the same time`(faults: [ChaosFault])
    {
        var plan = ChaosPlan(seed: 3, faults: faults, volumes: 12)
        var pairs = 0
        for _ in 0..<2000 {
            let round = plan.next()
            #expect(!round.changes.isEmpty)
            #expect(round.changes.allSatisfy { (0..<12).contains($0) })
            #expect(Set(round.relapses).isSubset(of: round.changes))
            guard round.faults.count == 2 else { continue }
            pairs += 1
            let names = Set(round.faults.map(\.name))
            #expect(Set(names.map { $0.prefix { $0 != "/" } }).count == 2)
            #expect(!(names.contains("node/driver-restarted") && names.contains { $0.hasPrefix("driver/") }))
            #expect(!names.isSuperset(of: ["node/pod-replaced", "api-server/restored-from-backup"]))
        }
        #expect(pairs > 100)
    }

    @Test func `another replica takes over from a leader without its driver within promise g`() {
        let (limit, lease) = (ChaosScene.failoverLimit(after: .leaderDriverKilled), Replicas.Timing.leaseDuration)
        // 60 seconds at the default lease duration.
        #expect(limit / lease == Duration.seconds(60) / .seconds(15))
        #expect(ChaosScene.failoverLimit(after: .leaderKilled) > limit)
    }

    @Test func `the names of faults are unique`() {
        #expect(Set(ChaosFault.everywhere.map(\.name)).count == ChaosFault.everywhere.count)
        #expect(Set(ChaosFault.allOnNode).isSubset(of: ChaosFault.everywhere))
    }

    @Test func `a report has a row for each fault of the node`() {
        var report = ChaosReport()
        report.add(.node(.podReplaced), reported: 3, lost: 0, twice: 0, settling: .seconds(2), failovers: [:])
        #expect(report.table.contains("| node/pod-replaced | 1 | 3 | 0 | 0 | 2.0 |"))
    }
}
