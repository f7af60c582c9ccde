// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import VolumeHealth

/// Volumes asked for one by one.
struct ReconcilerProbeTests {
    let claim = Claim.named("csi-pvc")
    var reconciler = Reconciler()
    var random = SeededGenerator(seed: 1)
    static let interval = Duration.seconds(60)

    init() {
        reconciler.bind(claim, handle: "h1")
        reconciler.beginProbing(interval: Self.interval, at: .zero, using: &random)
    }

    /// The next volume to ask for, whenever it is due.
    mutating func due() -> (handle: String, at: Duration)? {
        var now = Duration.zero
        while true {
            switch reconciler.nextProbe(at: now) {
            case .probe(let handle): return (handle, now)
            case .wait(let until?): now = until
            case .wait(nil): return nil
            }
        }
    }

    @Test mutating func rule3_anExplicitlyHealthyAnswerClearsAtOnce() throws {
        let (handle, now) = try #require(due())
        reconciler.receive(.report(.abnormal(handle)), ofVolumeHandle: handle, at: now)
        #expect(reconciler.tellAll(at: now).count == 1)
        reconciler.receive(.report(.healthy(handle)), ofVolumeHandle: handle, at: now)
        #expect(reconciler.tellAll(at: now).map(\.state.isClear) == [true])
    }

    @Test(arguments: [ProbeAnswer.failed, .interrupted, .withoutHealth])
    mutating func rule1_aFailedCallChangesNothing(answer: ProbeAnswer) throws {
        let (handle, now) = try #require(due())
        reconciler.receive(.report(.abnormal(handle)), ofVolumeHandle: handle, at: now)
        _ = reconciler.tellAll(at: now)
        reconciler.receive(answer, ofVolumeHandle: handle, at: now)
        #expect(reconciler.tellAll(at: now).isEmpty)
        #expect(reconciler.healthCounts == [.adverse: 1])
    }

    @Test mutating func rule5_notFoundIsConfirmedByASecondCallSoonAfter() throws {
        let (handle, first) = try #require(due())
        reconciler.receive(.notFound, ofVolumeHandle: handle, at: first)
        #expect(reconciler.tellAll(at: first).isEmpty)
        #expect(reconciler.nextProbe(at: first) == .wait(until: first + .seconds(5)))

        let second = first + .seconds(5)
        #expect(reconciler.nextProbe(at: second) == .probe(volumeHandle: handle))
        reconciler.receive(.notFound, ofVolumeHandle: handle, at: second)
        let told = reconciler.tellAll(at: second)
        #expect(told.map { $0.state.conditions.map(\.reason) } == [["VolumeNotFound"]])
        // And from then on it is asked for as ever.
        #expect(reconciler.nextProbe(at: second) == .wait(until: first + Self.interval))
    }

    @Test mutating func rule5_foundAfterAllIsNotMissing() throws {
        let (handle, now) = try #require(due())
        for answer in [ProbeAnswer.notFound, .report(.healthy(handle)), .notFound, .withoutHealth, .notFound] {
            reconciler.receive(answer, ofVolumeHandle: handle, at: now)
        }
        #expect(reconciler.tellAll(at: now).isEmpty)
    }

    @Test mutating func aVolumeThatTurnsUpIsAskedForAtOnce() {
        let now = Duration.seconds(7)
        // In whatever order the watches bring it.
        let other = Claim.named("other")
        reconciler.apply(other, volumeName: "pv-other", at: now)
        reconciler.apply(.of(other, handle: "new"), at: now)
        let third = Claim.named("third")
        reconciler.apply(.of(third, handle: "newer"), at: now)
        reconciler.apply(third, volumeName: "pv-third", at: now)
        var asked: Set<String> = []
        for step in 0..<5 {
            if case .probe(let handle) = reconciler.nextProbe(at: now + .milliseconds(100 * step)) {
                asked.insert(handle)
            }
        }
        #expect(asked.isSuperset(of: ["new", "newer"]))
    }

    @Test mutating func aVolumeWithoutAClaimIsNotAskedFor() {
        reconciler.removeClaim(claim.key, at: .zero)
        #expect(due() == nil)
        reconciler.apply(claim, volumeName: "pv-csi-pvc", at: .seconds(100))
        #expect(reconciler.nextProbe(at: .seconds(100)) == .probe(volumeHandle: "h1"))
    }

    @Test mutating func rule6_anAnswerThatIsNotUnderstoodClearsNothing() throws {
        let (handle, now) = try #require(due())
        reconciler.receive(.report(.abnormal(handle)), ofVolumeHandle: handle, at: now)
        _ = reconciler.tellAll(at: now)
        let strange = UnknownCondition(type: 9, reason: "New", message: "m")
        let report = VolumeHealthReport(volumeHandle: handle, conditions: [], unknownConditions: [strange])
        for _ in 0..<3 { reconciler.receive(.report(report), ofVolumeHandle: handle, at: now) }
        #expect(reconciler.tellAll(at: now).isEmpty)
        #expect(reconciler.tellUnknowns(at: now) == [strange])
    }
}
