// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct HealthStateHoldingTests {
    private static let claim = Claim.named("data")
    private static let hold = HoldTimes(abnormalAfter: .seconds(120), recoverAfter: .seconds(300))

    private static func state(
        _ holdTimes: HoldTimes = HoldTimes(),
        threshold: Int = 0,
        claims: [Claim] = [claim]
    ) -> HealthState {
        var state = HealthState(
            configuration: .init(holdTimes: holdTimes, flapping: FlappingLimits(threshold: threshold))
        )
        for claim in claims { state.bind(claim, handle: "h-\(claim.key.name)") }
        state.setKeepsHealthStatus(true, at: .zero)
        return state
    }

    private static func abnormal(_ message: String = "broken") -> [VolumeHealthReport] {
        [.abnormal("h-data", message)]
    }
    private static var healthy: [VolumeHealthReport] { [.healthy("h-data")] }

    /// Reports and writes everything that is due. Returns the texts of the events.
    private static func reportAll(_ state: inout HealthState, at second: Int) -> [String] {
        let now = Duration.seconds(second)
        let events = state.reportAll(at: now).map { $0.state.isClear ? "recovered" : $0.state.conditions.summary }
        let statuses = state.writeAll(at: now).map { $0.state.isClear ? "recovered" : $0.state.conditions.summary }
        #expect(events == statuses)
        return events
    }

    @Test func `events and status show a condition when it has held`() {
        var state = Self.state(Self.hold)
        state.sweep(Self.abnormal(), at: .seconds(0))
        #expect(Self.reportAll(&state, at: 0).isEmpty)
        #expect(state.unhealthyClaims.isEmpty)
        // The counts of volumes show the latest response.
        #expect(state.healthCounts[.unhealthy] == 1)
        state.sweep(Self.abnormal(), at: .seconds(60))
        #expect(Self.reportAll(&state, at: 60).isEmpty)
        state.sweep(Self.abnormal("worse"), at: .seconds(120))
        #expect(Self.reportAll(&state, at: 120) == ["worse"])
        #expect(state.unhealthyClaims.count == 1)
    }

    /// The entries of a list are one look at each volume, however long the list takes.
    @Test(arguments: [HealthState.SweepEnd.incomplete, .complete(.everyVolume, canConfirm: false)])
    func `a list that takes longer than the hold does not report what it has shown once`(end: HealthState.SweepEnd) {
        var state = Self.state(Self.hold)
        state.beginSweep(at: .seconds(0))
        for report in Self.abnormal() { state.receive(report, at: .seconds(1)) }
        _ = state.endSweep(end, at: .seconds(200))
        #expect(Self.reportAll(&state, at: 200).isEmpty)
        // The next list begins after the hold.
        state.beginSweep(at: .seconds(210))
        for report in Self.abnormal() { state.receive(report, at: .seconds(211)) }
        _ = state.endSweep(end, at: .seconds(410))
        #expect(Self.reportAll(&state, at: 410) == ["broken"])
    }

    @Test(arguments: [HealthState.ListKind.everyVolume, .unhealthyVolumes])
    func `a blip is never reported`(kind: HealthState.ListKind) {
        var state = Self.state(Self.hold)
        let end = HealthState.SweepEnd.complete(kind, canConfirm: false)
        let recovered = kind == .everyVolume ? Self.healthy : []
        state.sweep(Self.abnormal(), end, at: .seconds(0))
        for second in stride(from: 60, through: 600, by: 60) {
            state.sweep(recovered, end, at: .seconds(second))
            #expect(Self.reportAll(&state, at: second).isEmpty)
        }
        #expect(state.holdsBackNothing)
        #expect(state.healthCounts[.healthy] == 1)
        // A later one begins a hold of its own.
        state.sweep(Self.abnormal(), end, at: .seconds(700))
        #expect(Self.reportAll(&state, at: 700).isEmpty)
    }

    @Test(arguments: [HealthState.ListKind.everyVolume, .unhealthyVolumes])
    func `a recovery is reported when it has held`(kind: HealthState.ListKind) {
        var state = Self.state(HoldTimes(recoverAfter: .seconds(300)))
        let end = HealthState.SweepEnd.complete(kind, canConfirm: false)
        state.sweep(Self.abnormal(), end, at: .seconds(0))
        #expect(Self.reportAll(&state, at: 0) == ["broken"])
        let recovered = kind == .everyVolume ? Self.healthy : []
        // Without a call for a single volume, the first absence from a list of unhealthy volumes is not confirmed.
        let first = kind == .everyVolume ? 60 : 120
        for second in stride(from: 60, to: first + 300, by: 60) {
            state.sweep(recovered, end, at: .seconds(second))
            #expect(Self.reportAll(&state, at: second).isEmpty, "\(second)")
        }
        state.sweep(recovered, end, at: .seconds(first + 300))
        #expect(Self.reportAll(&state, at: first + 300) == ["recovered"])
    }

    @Test func `a relapse while the recovery is held is no change`() {
        var state = Self.state(HoldTimes(recoverAfter: .seconds(300)))
        state.sweep(Self.abnormal(), at: .seconds(0))
        #expect(Self.reportAll(&state, at: 0) == ["broken"])
        state.sweep(Self.healthy, at: .seconds(60))
        state.sweep(Self.abnormal(), at: .seconds(200))
        state.sweep(Self.healthy, at: .seconds(300))
        state.sweep(Self.healthy, at: .seconds(599))
        #expect(Self.reportAll(&state, at: 599).isEmpty)
        state.sweep(Self.healthy, at: .seconds(600))
        #expect(Self.reportAll(&state, at: 600) == ["recovered"])
    }

    @Test(.tags(.rule9)) func `what an earlier leader reported is not held again, and its recovery is`() {
        var state = Self.state(Self.hold)
        state.restore(
            reported: VolumeState.abnormal("broken").fingerprint,
            claimUID: Self.claim.uid,
            key: Self.claim.key,
            reportedAt: .zero,
            at: .zero
        )
        state.sweep(Self.healthy, at: .seconds(10))
        // Until the recovery has held, the claim counts as unhealthy.
        #expect(state.reportAll(at: .seconds(10)).isEmpty)
        #expect(state.isKnownUnhealthy(state.index.number(ofVolumeHandle: "h-data")!))
        state.sweep(Self.abnormal(), at: .seconds(20))
        state.sweep(Self.healthy, at: .seconds(30))
        state.sweep(Self.healthy, at: .seconds(329))
        #expect(state.reportAll(at: .seconds(329)).isEmpty)
        state.sweep(Self.healthy, at: .seconds(330))
        #expect(state.reportAll(at: .seconds(330)).map(\.state.isClear) == [true])
    }

    @Test(.tags(.rule5)) func `a missing volume is not held again, and its recovery is`() {
        let others = (0..<20).map { Claim.named("other-\($0)") }
        var state = Self.state(Self.hold, claims: [Self.claim] + others)
        let found = others.map { VolumeHealthReport.healthy("h-\($0.key.name)") }
        state.sweep(found + Self.healthy, at: .seconds(0))
        state.sweep(found, at: .seconds(60))
        state.sweep(found, at: .seconds(120))
        #expect(Self.reportAll(&state, at: 120).count == 1)
        state.sweep(found + Self.healthy, at: .seconds(180))
        #expect(Self.reportAll(&state, at: 180).isEmpty)
        state.sweep(found + Self.healthy, at: .seconds(480))
        #expect(Self.reportAll(&state, at: 480) == ["recovered"])
    }

    @Test func `an incomplete list adds to a condition that is held`() {
        var state = Self.state(Self.hold)
        let first = VolumeHealthCondition(status: .degraded, reason: "A", message: "")
        let second = VolumeHealthCondition(status: .dataLoss, reason: "B", message: "")
        state.sweep([VolumeHealthReport(volumeHandle: "h-data", conditions: [first])], at: .seconds(0))
        state.sweep([VolumeHealthReport(volumeHandle: "h-data", conditions: [second])], .incomplete, at: .seconds(120))
        #expect(Self.reportAll(&state, at: 120) == ["DataLoss (B); Degraded (A)"])
    }

    @Test func `a claim that is deleted leaves nothing behind`() {
        var state = Self.state(Self.hold, threshold: 1)
        state.sweep(Self.abnormal(), at: .seconds(0))
        #expect(!state.holdsBackNothing)
        state.removeClaim(Self.claim.key, at: .seconds(1))
        #expect(state.holdsBackNothing)
        #expect(state.flaps.keys.isEmpty)
    }

    // MARK: Flapping

    /// Changes the volume once a minute, and reports everything that is due. Returns the events by their minute.
    private static func flap(_ state: inout HealthState, _ minutes: Range<Int>) -> [Int: [String]] {
        var events: [Int: [String]] = [:]
        for minute in minutes {
            state.sweep(minute % 2 == 0 ? abnormal() : healthy, at: .seconds(60 * minute))
            events[minute] = reportAll(&state, at: 60 * minute)
        }
        return events.filter { !$0.value.isEmpty }
    }

    @Test func `a volume that changes seven times in an hour is flapping`() throws {
        var state = Self.state(threshold: 6)
        #expect(Self.flap(&state, 0..<6).count == 6)
        #expect(state.nextFlappingEvent(at: .seconds(300)).job == nil)
        #expect(Self.flap(&state, 6..<7) == [:])
        #expect(state.flappingClaims == [Self.claim.key])
        let event = try #require(state.nextFlappingEvent(at: .seconds(360)).job)
        #expect(event.state == FlappingState(changes: 7, since: .zero, state: .abnormal("broken")))
        state.complete(flappingEvent: event, .reported, at: .seconds(360))
        // From the beginning of the flapping on, at most one change in ten minutes: the volume is broken at 16, still
        // or again at 26, healthy at 27, and so on.
        let events = Self.flap(&state, 7..<46)
        #expect(events == [16: ["broken"], 27: ["recovered"], 38: ["broken"]])
        // The event on the flapping is brought up to date after half an hour.
        let refresh = try #require(state.nextFlappingEvent(at: .seconds(60 * 45)).job)
        #expect(refresh.cause == .refresh)
        #expect(refresh.state == FlappingState(changes: 46, since: .zero, state: .clear))
    }

    @Test func `at the end of a pause the latest state is reported without another response`() {
        var state = Self.state(threshold: 6)
        _ = Self.flap(&state, 0..<7)
        #expect(state.nextEvent(at: .seconds(900)) == .wait(until: .seconds(360 + 600)))
        #expect(state.nextStatus(at: .seconds(900)) == .wait(until: .seconds(360 + 600)))
        #expect(Self.reportAll(&state, at: 960) == ["broken"])
    }

    @Test func `a recovery that has not held does not replace what waits for the end of the pause`() {
        var state = Self.state(HoldTimes(recoverAfter: .seconds(120)), threshold: 2)
        var events: [String] = []
        for (second, reports) in [
            (0, Self.abnormal()), (60, Self.healthy), (180, Self.healthy), (240, Self.abnormal()),
        ] {
            state.sweep(reports, at: .seconds(second))
            events += Self.reportAll(&state, at: second)
        }
        #expect(events == ["broken", "recovered"])
        #expect(state.flappingClaims.count == 1)
        state.sweep(Self.healthy, at: .seconds(300))
        #expect(Self.reportAll(&state, at: 839).isEmpty)
        #expect(Self.reportAll(&state, at: 840) == ["broken"])
    }

    @Test func `an hour of quiet ends the flapping without an event`() {
        var state = Self.state(threshold: 6)
        _ = Self.flap(&state, 0..<8)
        #expect(Self.reportAll(&state, at: 420 + 3599).isEmpty)
        #expect(state.flappingClaims.count == 1)
        #expect(Self.reportAll(&state, at: 420 + 3600).isEmpty)
        #expect(state.flappingClaims.isEmpty)
        #expect(state.nextFlappingEvent(at: .seconds(420 + 3600)) == .wait(until: nil))
        state.sweep(Self.abnormal("again"), at: .seconds(5000))
        #expect(Self.reportAll(&state, at: 5000) == ["again"])
    }

    @Test(.tags(.rule12)) func `without further changes nothing but the last state is reported`() {
        var state = Self.state(threshold: 6)
        _ = Self.flap(&state, 0..<7)
        var events: [String] = []
        for minute in 7..<37 {
            state.sweep(Self.abnormal(), at: .seconds(60 * minute))
            events += Self.reportAll(&state, at: 60 * minute)
        }
        #expect(events == ["broken"])
    }

    @Test(.tags(.rule9)) func `a new leader begins to count anew`() {
        var state = Self.state(threshold: 6)
        _ = Self.flap(&state, 0..<8)
        state.endTerm()
        #expect(state.flappingClaims.isEmpty)
        state.beginTerm()
        #expect(Self.flap(&state, 8..<14).count == 6)
        #expect(state.flappingClaims.isEmpty)
        _ = Self.flap(&state, 14..<15)
        #expect(state.flappingClaims.count == 1)
    }

    @Test func `changes that do not hold are no flapping`() {
        var state = Self.state(HoldTimes(abnormalAfter: .seconds(61)), threshold: 1)
        #expect(Self.flap(&state, 0..<100).isEmpty)
        #expect(state.flappingClaims.isEmpty)
    }

    /// Random histories with hold times, flapping and changes of the leader.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func `in the end, events and status show the health of every volume`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let claims = (0..<4).map { Claim.named("claim-\($0)") }
        let holdTimes = HoldTimes(
            abnormalAfter: .seconds(Int.random(in: 0...2, using: &random) * 45),
            recoverAfter: .seconds(Int.random(in: 0...2, using: &random) * 45)
        )
        var state = Self.state(holdTimes, threshold: Int.random(in: 1...6, using: &random), claims: claims)
        var truth = claims.map { _ in VolumeState.clear }
        var shown: [String: VolumeState] = [:]
        var now = Duration.zero
        func report() {
            for event in state.reportAll(at: now) { shown[event.claim.uid] = event.state }
            for status in state.writeAll(at: now) {
                state.written(
                    status.claim,
                    volumeName: "pv-\(status.claim.key.name)",
                    healthStatus: status.state.conditions,
                    at: now
                )
            }
        }
        func sweep() {
            state.sweep(
                claims.indices.map {
                    VolumeHealthReport(volumeHandle: "h-claim-\($0)", conditions: truth[$0].conditions)
                },
                at: now
            )
        }
        for _ in 0..<200 {
            now += .seconds(Int.random(in: 1...90, using: &random))
            if Bool.random(using: &random) {
                truth[Int.random(in: 0..<4, using: &random)] =
                    [.clear, .of(.degraded, "SlowIO"), .of(.dataLoss, "Disk")].randomElement(using: &random) ?? .clear
            }
            sweep()
            report()
            guard Int.random(in: 0..<50, using: &random) == 0 else { continue }
            state.endTerm()
            state.beginTerm()
            state.setKeepsHealthStatus(true, at: now)
            for claim in claims {
                guard let reported = shown[claim.uid], !reported.isClear else { continue }
                state.restore(
                    reported: reported.fingerprint,
                    claimUID: claim.uid,
                    key: claim.key,
                    reportedAt: now,
                    at: now
                )
            }
        }
        for _ in 0..<130 {
            now += .seconds(60)
            sweep()
            report()
        }
        for (number, claim) in claims.enumerated() {
            let (expected, event) = (truth[number].fingerprint, (shown[claim.uid] ?? .clear).fingerprint)
            #expect(event == expected, "seed \(seed)")
            let status = state.index.number(at: claim.key).map(state.index.healthStatus)
            #expect(status?.fingerprint == expected, "seed \(seed)")
        }
        #expect(state.holdsBackNothing)
        #expect(state.flaps.keys.isEmpty)
    }
}
