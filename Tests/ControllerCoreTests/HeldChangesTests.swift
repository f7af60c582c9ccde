// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct HeldChangesTests {
    private static let degraded = VolumeState.of(.degraded, "SlowIO")
    private static let lost = VolumeState.of(.dataLoss, "Disk")

    /// Which of these responses, each with its second, pass with 60 seconds for conditions and 30 for recoveries.
    private static func passing(_ responses: [(VolumeState, at: Int)], reported: VolumeState = .clear) -> [Int] {
        var held = HeldChanges<Int, VolumeState>(HoldTimes(abnormalAfter: .seconds(60), recoverAfter: .seconds(30)))
        return responses.filter { state, second in
            held.passes(state, for: 1, reported: reported.unclearFingerprint, at: .seconds(second))
        }.map(\.at)
    }

    @Test func `a change passes with the first response that shows it for the hold time`() {
        #expect(Self.passing([(Self.degraded, at: 0), (Self.degraded, at: 59), (Self.degraded, at: 60)]) == [60])
    }

    @Test func `a blip begins no hold for the next one`() {
        let responses = [
            (Self.degraded, at: 0), (.clear, at: 50), (Self.degraded, at: 70), (Self.degraded, at: 129),
            (Self.degraded, at: 130),
        ]
        #expect(Self.passing(responses) == [50, 130])
    }

    @Test func `one response shows nothing that has held, however late the next one comes`() {
        #expect(Self.passing([(Self.degraded, at: 0), (.clear, at: 7200)]) == [7200])
    }

    @Test func `a recovery has its own time`() {
        #expect(Self.passing([(.clear, at: 0), (.clear, at: 29), (.clear, at: 30)], reported: Self.degraded) == [30])
    }

    @Test func `what is reported already needs no hold`() {
        #expect(Self.passing([(Self.degraded, at: 0)], reported: Self.degraded) == [0])
    }

    @Test func `conditions that alternate are held together`() {
        let responses = [(Self.degraded, at: 0), (Self.lost, at: 20), (Self.degraded, at: 40), (Self.lost, at: 60)]
        #expect(Self.passing(responses) == [60])
    }

    @Test func `a confirmed state is not held`() {
        var held = HeldChanges<Int, VolumeState>(HoldTimes(abnormalAfter: .seconds(60)))
        let first = held.passes(Self.degraded, for: 1, reported: nil, at: .seconds(0))
        #expect(!first)
        #expect(held[1] == Self.degraded)
        let second = held.passes(Self.lost, for: 1, reported: nil, isConfirmed: true, at: .seconds(1))
        #expect(second)
        #expect(held.isEmpty)
    }

    /// A response of a random history.
    private struct Response {
        var time: Duration
        var state: VolumeState
        var reported: Fingerprint?
        var passed: Bool
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `what passes is what the responses show to have held`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let times = HoldTimes(
            abnormalAfter: .seconds(Int.random(in: 0...3, using: &random) * 40),
            recoverAfter: .seconds(Int.random(in: 0...3, using: &random) * 40)
        )
        var held = HeldChanges<Int, VolumeState>(times)
        var reported = [Bool.random(using: &random) ? Self.degraded.fingerprint : nil, nil]
        var history: [[Response]] = [[], []]
        var now = Duration.zero
        for _ in 0..<200 {
            now += .seconds(Int.random(in: 0...40, using: &random))
            let key = Int.random(in: 0...1, using: &random)
            let state = [VolumeState.clear, .clear, Self.degraded, Self.lost].randomElement(using: &random) ?? .clear
            let fingerprint: Fingerprint? = state.isClear ? nil : state.fingerprint
            // The naive model: looks back through all responses.
            let time = state.isClear ? times.recoverAfter : times.abnormalAfter
            let run = history[key].reversed().prefix {
                let earlier: Fingerprint? = $0.state.isClear ? nil : $0.state.fingerprint
                return !$0.passed && $0.state.isClear == state.isClear && earlier != $0.reported
            }
            let expected = fingerprint == reported[key] || now - (run.last?.time ?? now) >= time
            let passed = held.passes(state, for: key, reported: reported[key], at: now)
            #expect(passed == expected, "seed \(seed) at \(now)")
            history[key].append(Response(time: now, state: state, reported: reported[key], passed: passed))
            if passed { reported[key] = fingerprint }
            #expect((held[key] != nil) == !passed)
        }
    }
}

extension VolumeState {
    static func of(_ status: VolumeHealthCondition.Status, _ reason: String, _ message: String = "") -> VolumeState {
        VolumeState([VolumeHealthCondition(status: status, reason: reason, message: message)])
    }
}
