// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct FlapGuardTests {
    private static let broken = VolumeState.of(.inaccessible, "BackendUnreachable")

    /// A guard, and what passed it.
    private struct Scene {
        var flaps: FlapGuard<Int, VolumeState>
        var reported: VolumeState = .clear
        var reports: [Duration] = []

        init(threshold: Int = 6) { flaps = FlapGuard(FlappingLimits(threshold: threshold)) }

        mutating func set(_ state: VolumeState, at now: Duration) {
            let isChange = state.fingerprint != reported.fingerprint
            guard flaps.passes(state, for: 1, reported: reported.unclearFingerprint, at: now), isChange else { return }
            report(state, at: now)
        }

        /// Everything that is due until then. Returns whether the flapping has ended.
        @discardableResult
        mutating func run(until end: Duration) -> Bool {
            var hasEnded = false
            while let due = flaps.firstDue, due <= end {
                let release = flaps.release(at: due)
                for (_, state) in release.states { report(state, at: due) }
                if !release.ended.isEmpty { hasEnded = true }
            }
            return hasEnded
        }

        private mutating func report(_ state: VolumeState, at now: Duration) {
            reported = state
            reports.append(now)
        }

        /// Changes from one state to the other, once a minute.
        mutating func flap(_ changes: Int, from minute: Int = 0) {
            for number in 0..<changes {
                run(until: .seconds(60 * (minute + number)))
                set(number % 2 == 0 ? broken : .clear, at: .seconds(60 * (minute + number)))
            }
        }
    }

    @Test func `six changes in an hour pass, and the seventh begins the flapping`() {
        var scene = Scene()
        scene.flap(6)
        #expect(scene.reports.count == 6)
        #expect(scene.flaps.flapping(1) == nil)
        scene.set(Self.broken, at: .seconds(360))
        #expect(scene.reports.count == 6)
        #expect(scene.flaps.flapping(1) == .init(changes: 7, since: .zero))
        #expect(scene.flaps.waiting(1) == Self.broken)
    }

    @Test func `at the end of a pause the latest state is reported, once`() {
        var scene = Scene()
        scene.flap(9)
        #expect(scene.reports.count == 6)
        scene.run(until: .seconds(360 + 599))
        #expect(scene.reports.count == 6)
        scene.run(until: .seconds(360 + 600))
        #expect(scene.reports.count == 7)
        #expect(scene.reported == Self.broken)
        scene.run(until: .seconds(3599))
        #expect(scene.reports.count == 7)
    }

    @Test func `a state that is back at the end of the pause is not reported again`() {
        var scene = Scene()
        scene.flap(8)
        #expect(scene.reported == .clear)
        scene.run(until: .seconds(3599))
        #expect(scene.reports.count == 6)
    }

    @Test func `an hour without a change ends the flapping and is forgotten`() {
        var scene = Scene()
        scene.flap(7)
        var hasEnded = scene.run(until: .seconds(360 + 3599))
        #expect(!hasEnded)
        #expect(scene.flaps.flapping(1) != nil)
        hasEnded = scene.run(until: .seconds(360 + 3600))
        #expect(hasEnded)
        #expect(scene.flaps.flapping(1) == nil)
        #expect(scene.flaps.keys.isEmpty)
        #expect(scene.flaps.firstDue == nil)
        // The next six changes pass again.
        let reports = scene.reports.count
        scene.set(.clear, at: .seconds(4000))
        scene.flap(5, from: 70)
        #expect(scene.reports.count == reports + 6)
    }

    @Test func `six changes in each hour are not flapping`() {
        var scene = Scene()
        for number in 0..<60 {
            scene.run(until: .seconds(600 * number))
            scene.set(number % 2 == 0 ? Self.broken : .clear, at: .seconds(600 * number))
        }
        #expect(scene.reports.count == 60)
    }

    @Test func `a threshold of zero costs nothing`() {
        var scene = Scene(threshold: 0)
        scene.flap(50)
        #expect(scene.reports.count == 50)
        #expect(scene.flaps.keys.isEmpty)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `reports follow the limits, and the latest state wins`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let threshold = Int.random(in: 1...8, using: &random)
        let longest = [120, 600, 1500].randomElement(using: &random) ?? 600
        let (hour, pause) = (Duration.seconds(3600), Duration.seconds(600))
        var scene = Scene(threshold: threshold)
        var (now, latest) = (Duration.zero, VolumeState.clear)
        // The naive model: all changes, and when the current flapping began.
        var (changes, began) = ([Duration](), Duration?.none)
        for _ in 0..<300 {
            let isLongBreak = Int.random(in: 0..<30, using: &random) == 0
            let next = now + .seconds(Int.random(in: 1...(isLongBreak ? 8000 : longest), using: &random))
            if let last = changes.last, next - last >= hour { (changes, began) = ([], nil) }
            scene.run(until: next)
            now = next
            #expect((scene.flaps.flapping(1) != nil) == (began != nil), "seed \(seed) at \(now)")
            let state =
                [VolumeState.clear, Self.broken, .of(.degraded, "SlowIO")].randomElement(using: &random) ?? .clear
            if state.fingerprint != latest.fingerprint {
                changes.append(now)
                if began == nil, changes.count(where: { now - $0 < hour }) > threshold { began = now }
            }
            latest = state
            scene.set(state, at: now)
            if let began {
                #expect(scene.flaps.flapping(1) == .init(changes: changes.count, since: changes[0]), "seed \(seed)")
                let limited = [began] + scene.reports.filter { $0 > began }
                for (earlier, later) in zip(limited, limited.dropFirst()) { #expect(later - earlier >= pause) }
                // What is not reported waits, and not for longer than the pause.
                if now - (limited.last ?? began) >= pause {
                    #expect(scene.reported.fingerprint == latest.fingerprint)
                }
            } else {
                #expect(scene.flaps.flapping(1) == nil, "seed \(seed) at \(now)")
                #expect(scene.reported.fingerprint == latest.fingerprint, "seed \(seed) at \(now)")
            }
        }
        scene.run(until: now + hour)
        #expect(scene.reported.fingerprint == latest.fingerprint)
        // What is kept of quiet keys is looked through several times an hour.
        scene.run(until: now + hour * 1.25)
        #expect(scene.flaps.keys.isEmpty)
    }
}
