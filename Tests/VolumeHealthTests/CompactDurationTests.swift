// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import VolumeHealth

struct CompactDurationTests {
    @Test(arguments: 0..<20 as Range<UInt64>)
    func `a duration keeps whole nanoseconds and its order`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let nanoseconds = Int64.random(in: -(1 << 60)...(1 << 60), using: &random)
            let rest = Int64.random(in: 0..<1_000_000_000, using: &random)
            let whole = Duration.nanoseconds(nanoseconds)
            let duration = whole + Duration(secondsComponent: 0, attosecondsComponent: rest)
            #expect(CompactDuration(duration).duration == whole)
            let other = Duration.nanoseconds(nanoseconds + Int64.random(in: 1...1000, using: &random))
            #expect(CompactDuration(duration) < CompactDuration(other))
        }
    }

    @Test func `a duration that is too long becomes the longest one`() {
        let longest = Duration.nanoseconds(Int64.max)
        #expect(CompactDuration(.seconds(Int64.max)).duration == longest)
        #expect(CompactDuration(longest + .nanoseconds(1)).duration == longest)
        // Larger than the components of a `Duration` can represent.
        #expect(CompactDuration(.seconds(Int64.max) + .seconds(Int64.max)).duration == longest)
        #expect(CompactDuration(.seconds(Int64.min)).duration == .nanoseconds(Int64.min))
    }
}
