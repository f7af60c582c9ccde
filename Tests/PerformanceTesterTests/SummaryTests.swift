// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import performance_tester

@Suite struct SummaryTests {
    @Test(
        arguments: [
            ([3.0], 3.0), ([4, 1], 2.5), ([9, 1, 5], 5), ([4, 1, 3, 2], 2.5), ([2, 2, 7, 2, 100], 2),
        ] as [([Double], Double)]
    )
    func theMedianIsInTheMiddle(values: [Double], median: Double) throws {
        let summary = try #require(Summary(values))
        #expect(summary.median == median)
    }

    @Test func theSpreadIsFromTheLeastToTheGreatest() throws {
        let summary = try #require(Summary([5, -1, 3]))
        #expect((summary.minimum, summary.maximum) == (-1, 5))
        #expect(summary.values == [5, -1, 3])
    }

    @Test func nothingHasNoSummary() {
        #expect(Summary([]) == nil)
    }
}
