// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import tools

@Suite struct CallGapsTests {
    @Test func `a volume with regular calls has even gaps`() {
        let gaps = CallGaps([("a", 1), ("a", 11), ("a", 21)], volumes: 1, observed: 0...30)
        #expect(gaps.longest == [10])
        #expect(gaps.shortest == 10)
    }

    @Test func `the times before the first and after the last call are gaps`() {
        let gaps = CallGaps([("late", 25), ("early", 1)].sorted { $0.1 < $1.1 }, volumes: 2, observed: 0...30)
        #expect(gaps.longest == [25, 29])
        #expect(gaps.shortest == nil)
    }

    @Test func `a volume without a call has one gap for the whole time`() {
        let gaps = CallGaps([("a", 5)], volumes: 3, observed: 0...10)
        #expect(gaps.longest == [5, 10, 10])
        #expect(gaps.count(longerThan: 5) == 2)
    }

    @Test func `bursts show in the shortest gap`() {
        let gaps = CallGaps([("a", 1), ("a", 1.5), ("a", 8)], volumes: 1, observed: 0...10)
        #expect(gaps.shortest == 0.5)
        #expect(gaps.longest == [6.5])
    }

    @Test func `calls outside the observed time are ignored`() {
        let gaps = CallGaps([("a", 1), ("a", 15), ("a", 22)], volumes: 1, observed: 10...20)
        #expect(gaps.longest == [5])
        #expect(gaps.shortest == nil)
    }
}
