// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import tools

@Suite struct SummaryTests {
    @Test(
        arguments: [
            ([3.0], 3.0), ([4, 1], 2.5), ([9, 1, 5], 5), ([4, 1, 3, 2], 2.5), ([2, 2, 7, 2, 100], 2),
        ] as [([Double], Double)]
    )
    func `the median is in the middle`(values: [Double], median: Double) throws {
        let summary = try #require(Summary(values))
        #expect(summary.median == median)
    }

    @Test func `the spread is from the least to the greatest`() throws {
        let summary = try #require(Summary([5, -1, 3]))
        #expect((summary.minimum, summary.maximum) == (-1, 5))
        #expect(summary.values == [5, -1, 3])
    }

    @Test func `without values there is no summary`() {
        #expect(Summary([]) == nil)
    }
}
