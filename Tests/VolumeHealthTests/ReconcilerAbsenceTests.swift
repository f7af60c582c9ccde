// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

/// Rules 4 and 5: volumes that the driver does not list, or does not find.
struct ReconcilerAbsenceTests {
    let claim = Claim.named("csi-pvc")
    var reconciler = Reconciler()

    static let everyVolume = Reconciler.SweepEnd.complete(.everyVolume, canConfirm: false)
    static let everyVolumeAndGet = Reconciler.SweepEnd.complete(.everyVolume, canConfirm: true)
    static let adverse = Reconciler.SweepEnd.complete(.adverseVolumes, canConfirm: false)
    static let adverseAndGet = Reconciler.SweepEnd.complete(.adverseVolumes, canConfirm: true)

    init() {
        reconciler.bind(claim, handle: "h1")
    }

    func reasons(_ told: [Announcement<ClaimNumber, VolumeState>]) -> [[String]] {
        told.map { $0.state.conditions.map(\.reason) }
    }

    // MARK: Lists of every volume

    @Test mutating func rule4_aVolumeThatVanishesFromTwoCompleteListsIsTold() {
        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        reconciler.sweep([], Self.everyVolume, at: .seconds(300))
        #expect(reconciler.tellAll(at: .seconds(300)).isEmpty)

        reconciler.sweep([], Self.everyVolume, at: .seconds(600))
        let told = reconciler.tellAll(at: .seconds(600))
        #expect(reasons(told) == [["VolumeNotFound"]])
        #expect(told.first?.state.conditions.first?.status == .inaccessible)
        #expect(told.first?.state.conditions.first?.message.contains("h1") == true)

        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .seconds(900))
        #expect(reasons(reconciler.tellAll(at: .seconds(900))) == [[]])
    }

    @Test mutating func rule4_onlyListsInARowCount() {
        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...10 {
            reconciler.sweep(second.isMultiple(of: 2) ? [.healthy("h1")] : [], Self.everyVolume, at: .seconds(second))
        }
        #expect(reconciler.tellAll(at: .seconds(10)).isEmpty)
    }

    @Test mutating func rule2_anIncompleteListIsNoAbsence() {
        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...5 { reconciler.sweep([], .incomplete, at: .seconds(second)) }
        #expect(reconciler.tellAll(at: .seconds(5)).isEmpty)
        // Nor does one between two complete lists begin anew.
        reconciler.sweep([], Self.everyVolume, at: .seconds(6))
        reconciler.sweep([], .incomplete, at: .seconds(7))
        reconciler.sweep([], Self.everyVolume, at: .seconds(8))
        #expect(reasons(reconciler.tellAll(at: .seconds(8))) == [["VolumeNotFound"]])
    }

    /// A change of the leader must not hide a loss.
    @Test mutating func `a volume that no list of this process had is confirmed by a call`() {
        #expect(reconciler.sweep([], Self.everyVolumeAndGet, at: .zero) == ["h1"])
        reconciler.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(1))
        #expect(reconciler.tellAll(at: .seconds(1)).isEmpty)
        #expect(reconciler.sweep([], Self.everyVolumeAndGet, at: .seconds(300)) == ["h1"])
        reconciler.receive(.notFound, ofVolumeHandle: "h1", at: .seconds(301))
        #expect(reasons(reconciler.tellAll(at: .seconds(301))) == [["VolumeNotFound"]])
    }

    /// Drivers that truncate their lists are ordinary.
    @Test mutating func `without such a call it is reported after the hold`() {
        for second in stride(from: 0, to: 600, by: 60) {
            reconciler.sweep([], Self.everyVolume, at: .seconds(second))
            #expect(reconciler.tellAll(at: .seconds(second)).isEmpty)
        }
        reconciler.sweep([], Self.everyVolume, at: .seconds(600))
        #expect(reasons(reconciler.tellAll(at: .seconds(600))) == [["VolumeNotFound"]])
    }

    @Test mutating func `a volume that turned up while a list was made is not absent`() {
        reconciler.bind(Claim.named("other"), handle: "h2")
        reconciler.beginSweep(at: .zero)
        reconciler.receive(.healthy("h2"), at: .zero)
        reconciler.bind(Claim.named("new"), handle: "h3")
        #expect(reconciler.endSweep(Self.everyVolumeAndGet, at: .seconds(1)) == ["h1"])
        #expect(reconciler.sweep([.healthy("h2")], Self.everyVolumeAndGet, at: .seconds(300)) == ["h1", "h3"])
    }

    @Test mutating func rule4_whereTheDriverHasItOneCallConfirms() {
        reconciler.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .zero)
        #expect(reconciler.sweep([], Self.everyVolumeAndGet, at: .seconds(1)) == ["h1"])
        #expect(reconciler.tellAll(at: .seconds(1)).isEmpty)
        reconciler.receive(.notFound, ofVolumeHandle: "h1", at: .seconds(2))
        #expect(reasons(reconciler.tellAll(at: .seconds(2))) == [["VolumeNotFound"]])
    }

    @Test(arguments: [
        ProbeAnswer.report(.healthy("h1")), .withoutHealth, .failed, .interrupted,
    ])
    mutating func rule4_anyOtherAnswerIsNoAbsence(answer: ProbeAnswer) {
        reconciler.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .zero)
        reconciler.sweep([], Self.everyVolumeAndGet, at: .seconds(1))
        reconciler.receive(answer, ofVolumeHandle: "h1", at: .seconds(2))
        #expect(reconciler.tellAll(at: .seconds(2)).isEmpty)
    }

    @Test mutating func rule4_whatTheConfirmingCallSaysHolds() {
        reconciler.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .zero)
        reconciler.sweep([], Self.everyVolumeAndGet, at: .seconds(1))
        reconciler.receive(.report(.abnormal("h1")), ofVolumeHandle: "h1", at: .seconds(2))
        #expect(reasons(reconciler.tellAll(at: .seconds(2))) == [["VolumeConditionAbnormal"]])
    }

    @Test mutating func rule5_missingVolumesAreNotToldWhereThatIsSwitchedOff() {
        reconciler = Reconciler(configuration: .init(reportsMissingVolumes: false))
        reconciler.bind(claim, handle: "h1")
        reconciler.sweep([.abnormal("h1")], Self.everyVolume, at: .zero)
        _ = reconciler.tellAll(at: .zero)
        for second in 1...3 { reconciler.sweep([], Self.everyVolume, at: .seconds(second)) }
        reconciler.sweep([], Self.everyVolumeAndGet, at: .seconds(4))
        reconciler.receive(.notFound, ofVolumeHandle: "h1", at: .seconds(4))
        // Neither missing nor recovered.
        #expect(reconciler.tellAll(at: .seconds(4)).isEmpty)
    }

    @Test mutating func rule11_aMissingVolumeThatNobodyClaimsIsNotAskedFor() {
        reconciler.apply(
            MonitoredVolume(name: "free", handle: "h2", claim: nil, claimUID: "", isBound: false),
            at: .zero
        )
        reconciler.sweep([.healthy("h1"), .healthy("h2")], Self.everyVolumeAndGet, at: .zero)
        #expect(reconciler.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .seconds(1)).isEmpty)
    }

    @Test mutating func anotherWayOfAskingBeginsWithoutAbsences() {
        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        reconciler.sweep([], Self.everyVolume, at: .seconds(1))
        reconciler.beginStrategy(writesStatus: true)
        reconciler.sweep([], Self.everyVolume, at: .seconds(2))
        reconciler.sweep([], Self.everyVolume, at: .seconds(3))
        #expect(reconciler.tellAll(at: .seconds(3)).isEmpty)
    }

    // MARK: Lists of what is wrong

    @Test mutating func rule4_aVolumeThatTheListLeavesOutIsAskedForBeforeItCountsAsWell() {
        reconciler.sweep([.abnormal("h1")], Self.adverseAndGet, at: .zero)
        _ = reconciler.tellAll(at: .zero)
        #expect(reconciler.sweep([], Self.adverseAndGet, at: .seconds(1)) == ["h1"])
        #expect(reconciler.tellAll(at: .seconds(1)).isEmpty)

        reconciler.receive(.failed, ofVolumeHandle: "h1", at: .seconds(2))
        #expect(reconciler.tellAll(at: .seconds(2)).isEmpty)
        reconciler.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(3))
        #expect(reasons(reconciler.tellAll(at: .seconds(3))) == [[]])
        // And then it is nothing special any more.
        #expect(reconciler.sweep([], Self.adverseAndGet, at: .seconds(4)).isEmpty)
    }

    @Test mutating func rule4_withoutSuchACallTwoListsInARowClear() {
        reconciler.sweep([.abnormal("h1")], Self.adverse, at: .zero)
        _ = reconciler.tellAll(at: .zero)
        reconciler.sweep([], Self.adverse, at: .seconds(1))
        reconciler.sweep([.abnormal("h1")], Self.adverse, at: .seconds(2))
        reconciler.sweep([], Self.adverse, at: .seconds(3))
        #expect(reconciler.tellAll(at: .seconds(3)).isEmpty)
        reconciler.sweep([], Self.adverse, at: .seconds(4))
        #expect(reasons(reconciler.tellAll(at: .seconds(4))) == [[]])
    }

    @Test mutating func volumesThatSuchAListLeavesOutAreWell() {
        reconciler.bind(Claim.named("other"), handle: "h2")
        reconciler.sweep([.abnormal("h2")], Self.adverseAndGet, at: .zero)
        #expect(reconciler.healthCounts == [.healthy: 1, .adverse: 1])
        #expect(reconciler.tellAll(at: .zero).count == 1)
    }

    @Test mutating func rule9_whatAnEarlierProcessToldIsAskedForWhenTheListLeavesItOut() {
        let told = VolumeState.abnormal("broken").fingerprint
        reconciler.restore(told: told, claimUID: claim.uid, key: claim.key, toldAt: .zero, at: .zero)
        #expect(reconciler.sweep([], Self.adverseAndGet, at: .zero) == ["h1"])
        reconciler.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(1))
        #expect(reasons(reconciler.tellAll(at: .seconds(1))) == [[]])
    }

    @Test mutating func rule1_aVolumeWhoseAbsenceIsNotConfirmedIsNotCalledHealthy() {
        reconciler.restore(
            told: VolumeState.abnormal("broken").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            toldAt: .zero,
            at: .zero
        )
        reconciler.sweep([], Self.adverseAndGet, at: .zero)
        reconciler.receive(.failed, ofVolumeHandle: "h1", at: .zero)
        #expect(reconciler.healthCounts == [.unknown: 1])
    }

    @Test mutating func rule5_aVolumeThatAnIncompleteListHasIsNotMissing() {
        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...2 { reconciler.sweep([], Self.everyVolume, at: .seconds(second)) }
        #expect(reasons(reconciler.tellAll(at: .seconds(2))) == [["VolumeNotFound"]])
        reconciler.sweep([.abnormal("h1")], .incomplete, at: .seconds(3))
        #expect(reasons(reconciler.tellAll(at: .seconds(3))) == [["VolumeConditionAbnormal"]])
    }

    @Test mutating func rule5_aVolumeThatIsFoundAgainIsNotMissingWhateverElseIsKnown() {
        reconciler.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...2 { reconciler.sweep([], Self.everyVolume, at: .seconds(second)) }
        #expect(reasons(reconciler.tellAll(at: .seconds(2))) == [["VolumeNotFound"]])
        reconciler.beginSweep(at: .seconds(3))
        reconciler.receive(listedWithoutHealth: "h1", at: .seconds(3))
        _ = reconciler.endSweep(Self.everyVolume, at: .seconds(3))
        #expect(reasons(reconciler.tellAll(at: .seconds(3))) == [[]])
        #expect(reconciler.healthCounts == [.unknown: 1])
    }
}
