// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

@Suite struct OutageDetectorTests {
    private var detector = OutageDetector<Int>()

    @Test(arguments: [(0, 5), (99, 5), (100, 5), (119, 5), (120, 6), (2000, 100)])
    func `the threshold is five volumes, or five percent of them`(volumes: Int, threshold: Int) {
        #expect(OutageLimits().threshold(of: volumes) == threshold)
    }

    @Test func `with 100 percent there is no outage`() {
        #expect(OutageLimits(minimumVolumes: 0, percent: 100).threshold(of: 7) == 7)
    }

    @Test mutating func `an outage begins with the volume that crosses the threshold`() {
        for volume in 1...3 {
            #expect(!detector.turnedUnhealthy(volume, threshold: 3, at: .seconds(volume)) { _, _ in true })
        }
        #expect(detector.phase == .none)
        #expect(detector.turnedUnhealthy(4, threshold: 3, at: .seconds(4)) { _, _ in true })
        #expect(detector.phase == .beginning(crossed: .seconds(4)))
        #expect(detector.firstTurned == .seconds(1))
        #expect(!detector.turnedUnhealthy(5, threshold: 3, at: .seconds(5)) { _, _ in true })
    }

    @Test mutating func `one volume that turns unhealthy again and again is one volume`() {
        for second in 1...100 {
            #expect(!detector.turnedUnhealthy(1, threshold: 3, at: .seconds(second)) { _, _ in true })
        }
    }

    @Test mutating func `volumes that do not count any more do not cross the threshold`() {
        for volume in 1...100 {
            let begins = detector.turnedUnhealthy(volume, threshold: 3, at: .seconds(volume)) { other, _ in
                other > volume - 3
            }
            #expect(!begins)
        }
    }

    @Test mutating func `a window that begins counts anew, but does not end an outage that begins`() {
        for volume in 1...3 { _ = detector.turnedUnhealthy(volume, threshold: 3, at: .zero) { _, _ in true } }
        detector.beginWindow()
        #expect(!detector.turnedUnhealthy(4, threshold: 3, at: .zero) { _, _ in true })
        for volume in 5...7 { _ = detector.turnedUnhealthy(volume, threshold: 3, at: .zero) { _, _ in true } }
        #expect(detector.phase == .beginning(crossed: .zero))
        detector.beginWindow()
        #expect(detector.phase == .beginning(crossed: .zero))
    }

    @Test mutating func `after its end, an outage needs as many new volumes to begin again`() {
        for volume in 1...4 { _ = detector.turnedUnhealthy(volume, threshold: 3, at: .zero) { _, _ in true } }
        detector.confirm()
        detector.end()
        for volume in 1...3 {
            #expect(!detector.turnedUnhealthy(volume, threshold: 3, at: .seconds(60)) { _, _ in true })
        }
        #expect(detector.turnedUnhealthy(4, threshold: 3, at: .seconds(60)) { _, _ in true })
    }

    @Test func `an outage is as old as its first transition, not as volumes that were unhealthy before`() {
        let limits = OutageLimits(window: .seconds(60))
        let old: [Duration] = [.seconds(-86_400), .seconds(-7200)]
        let new: [Duration] = (0..<10).map { .seconds(1000 + $0) }
        #expect(limits.beginning(of: new + old, threshold: 3) == .seconds(1000))
        #expect(limits.beginning(of: new, threshold: 3) == .seconds(1000))
    }

    @Test(arguments: [(20, true), (19, false)])
    func `transitions are an outage if more than the threshold lie within one window`(gap: Int, isApart: Bool) {
        let limits = OutageLimits(window: .seconds(60))
        let times: [Duration] = (0..<100).map { .seconds(1000 + gap * $0) }.shuffled()
        #expect((limits.beginning(of: times, threshold: 3) == nil) == isApart)
        #expect(limits.beginning(of: Array(times.prefix(3)), threshold: 3) == nil)
        #expect(limits.beginning(of: [], threshold: 0) == nil)
    }

    /// Random transitions, against a model that keeps all of them.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `the threshold is crossed when a model with all transitions says so`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var detector = OutageDetector<Int>()
        let threshold = Int.random(in: 0...6, using: &random)
        let window = Duration.seconds(60)
        var now = Duration.zero
        var unhealthy: [Int: Duration] = [:]
        for _ in 0..<300 {
            now += .seconds(Int.random(in: 0...20, using: &random))
            let volume = Int.random(in: 0..<12, using: &random)
            if unhealthy.removeValue(forKey: volume) != nil { continue }
            unhealthy[volume] = now
            let expected = unhealthy.values.count { now - $0 <= window } > threshold
            let isUnhealthy = unhealthy
            let begins = detector.turnedUnhealthy(volume, threshold: threshold, at: now) { volume, time in
                isUnhealthy[volume] == time && now - time <= window
            }
            #expect(begins == expected, "seed \(seed)")
            if begins {
                detector.end()
                unhealthy = [:]
            }
        }
    }
}
