// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

/// What goes to `status.healthStatus`, and what a new leader knows.
struct ReconcilerStatusTests {
    let claim = Claim.named("csi-pvc")
    let legacy = VolumeHealthCondition(abnormalMessage: "broken")
    var reconciler = Reconciler()

    init() {
        reconciler.bind(claim, handle: "h1")
    }

    @Test mutating func rule7_aLegacyConditionIsWrittenAsDegraded() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        let written = reconciler.writeAll(at: .zero)
        #expect(
            written.map(\.state.conditions) == [
                [VolumeHealthCondition(status: .degraded, reason: "VolumeConditionAbnormal", message: "broken")]
            ]
        )
    }

    @Test mutating func rule12_whatStandsThereIsNotWrittenAgain() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        for second in 0..<10_000 where second.isMultiple(of: 500) {
            reconciler.sweep([.abnormal("h1")], at: .seconds(second))
            #expect(reconciler.writeAll(at: .seconds(second)).isEmpty)
        }
    }

    @Test mutating func rule9_aStatusOfAnEarlierProcessIsClearedWhenTheVolumeIsWell() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        #expect(reconciler.writeAll(at: .zero).isEmpty)
        reconciler.sweep([.healthy("h1")], at: .zero)
        #expect(reconciler.writeAll(at: .zero).map(\.state.isClear) == [true])
    }

    /// A role made for external-health-monitor 0.18.
    @Test mutating func `a status that may not be written is no backlog`() throws {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        #expect(reconciler.statusBacklog.depth == 1)
        var now = Duration.zero
        func next() -> Announcement<ClaimNumber, VolumeState>? {
            if case .tell(let status) = reconciler.nextStatus(at: now) { status } else { nil }
        }
        for _ in 0..<2 {
            let status = try #require(next())
            reconciler.settle(status: status, .failed(RequestFailure(isForbidden: true)), at: now)
            #expect(reconciler.statusBacklog.depth == 0)
            #expect(!reconciler.isStatusSupported)
            now += .seconds(60)
        }
        let status = try #require(next())
        reconciler.settle(status: status, .told, at: now)
        #expect(reconciler.isStatusSupported)
    }

    /// The reply to a write may be ahead of the watch, which then brings what was before it.
    @Test mutating func `an older version of a claim that the watch brings late changes nothing`() {
        var old = claim
        old.resourceVersion = "4"
        var written = claim
        written.resourceVersion = "5"
        reconciler.sweep([.abnormal("h1", "broken")], at: .zero)
        _ = reconciler.writeAll(at: .zero)
        reconciler.written(written, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.apply(old, volumeName: "pv-csi-pvc", at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).isEmpty)
        // A server that was restored from a backup: what it lists is so.
        reconciler.beginClaimRelist()
        reconciler.apply(old, volumeName: "pv-csi-pvc", at: .seconds(2))
        reconciler.endClaimRelist(at: .seconds(2))
        #expect(reconciler.writeAll(at: .seconds(2)).map(\.claim.resourceVersion) == ["4"])
    }

    @Test mutating func rule6_aNewMessageIsWrittenLaterAndIsNoTransition() {
        reconciler.sweep([.abnormal("h1", "one")], at: .zero)
        _ = reconciler.writeAll(at: .zero)
        reconciler.sweep([.abnormal("h1", "two")], at: .seconds(60))
        #expect(reconciler.writeAll(at: .seconds(60)).isEmpty)
        let written = reconciler.writeAll(at: .seconds(600))
        #expect(written.map(\.cause) == [.refresh])
        #expect(written.map(\.since) == [.zero])
    }

    /// The change comes between our write and its answer.
    @Test mutating func aStatusThatSomebodyTakesAwayWhileItIsWrittenIsWrittenAgain() throws {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        let step = reconciler.nextStatus(at: .zero)
        guard case .tell(let announcement) = step else {
            Issue.record("nothing to write: \(step)")
            return
        }
        var ours = claim
        ours.resourceVersion = "10"
        var theirs = claim
        theirs.resourceVersion = "11"
        reconciler.apply(ours, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.apply(theirs, volumeName: "pv-csi-pvc", healthStatus: [], at: .zero)
        reconciler.written(ours, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.settle(status: announcement, .told, at: .zero)
        #expect(reconciler.writeAll(at: .zero).count == 1)
    }

    /// An older change arrives between our write and its answer.
    @Test mutating func aWatchThatLagsBehindAWriteDoesNotRepeatIt() throws {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        let step = reconciler.nextStatus(at: .zero)
        guard case .tell(let announcement) = step else {
            Issue.record("nothing to write: \(step)")
            return
        }
        var earlier = claim
        earlier.resourceVersion = "9"
        var ours = claim
        ours.resourceVersion = "10"
        reconciler.apply(earlier, volumeName: "pv-csi-pvc", healthStatus: [], at: .zero)
        reconciler.written(ours, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.settle(status: announcement, .told, at: .zero)
        #expect(reconciler.writeAll(at: .zero).isEmpty)
    }

    @Test mutating func aStatusThatSomebodyTakesAwayIsWrittenAgain() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.writeAll(at: .zero)
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        #expect(reconciler.writeAll(at: .zero).isEmpty)
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [], at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).count == 1)
    }

    @Test mutating func withoutLegacyStatusNothingIsWrittenAndWhatStandsThereIsCleared() {
        reconciler.beginStrategy(writesStatus: false)
        reconciler.sweep([.abnormal("h1")], at: .zero)
        #expect(reconciler.writeAll(at: .zero).isEmpty)
        #expect(reconciler.tellAll(at: .zero).count == 1)

        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .seconds(1))
        reconciler.sweep([.abnormal("h1")], at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).map(\.state.isClear) == [true])
    }

    @Test mutating func rule11_theStatusIsClearedWhenTheVolumeIsGoneAndTheClaimIsNot() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.writeAll(at: .zero)
        _ = reconciler.tellAll(at: .zero)
        reconciler.removeVolume(named: "pv-csi-pvc", at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).map(\.state.isClear) == [true])
        // It has not recovered: nobody is told that it has.
        #expect(reconciler.tellAll(at: .seconds(1)).isEmpty)
    }

    @Test mutating func rule11_theStatusIsClearedWhenTheVolumeIsReleased() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        var released = MonitoredVolume.of(claim, handle: "h1")
        released.isBound = false
        reconciler.apply(released, at: .zero)
        #expect(reconciler.writeAll(at: .zero).map(\.state.isClear) == [true])
    }

    @Test mutating func rule11_aClaimMadeAnewIsNotCleared() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.writeAll(at: .zero)
        reconciler.apply(Claim.named("csi-pvc", uid: "anew"), volumeName: "", at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).isEmpty)
        reconciler.sweep([.abnormal("h1")], at: .seconds(2))
        #expect(reconciler.writeAll(at: .seconds(2)).isEmpty)
    }

    @Test mutating func rule11_aRelistWithoutTheVolumeReleasesItsClaim() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.writeAll(at: .zero)
        reconciler.beginVolumeRelist()
        #expect(reconciler.writeAll(at: .zero).isEmpty)
        reconciler.endVolumeRelist(at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).map(\.state.isClear) == [true])
    }

    @Test mutating func whatWasWrittenIsKnownBeforeTheWatchBringsIt() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        guard case .tell(let status) = reconciler.nextStatus(at: .zero) else {
            Issue.record("there is nothing to write")
            return
        }
        var written = claim
        written.resourceVersion = "2"
        reconciler.written(written, volumeName: "pv-csi-pvc", healthStatus: status.state.conditions, at: .zero)
        reconciler.settle(status: status, .told, at: .zero)
        reconciler.sweep([.healthy("h1")], at: .seconds(1))
        #expect(reconciler.writeAll(at: .seconds(1)).map(\.claim.resourceVersion) == ["2"])
    }

    @Test mutating func aClaimDeletedMeanwhileIsNotBroughtBackByAWrite() {
        reconciler.removeClaim(claim.key, at: .zero)
        reconciler.written(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        #expect(reconciler.claim(at: claim.key) == nil)
    }

    @Test mutating func rule9_aLastingConditionOfAnEarlierProcessIsNotToldAgain() {
        reconciler.restore(
            told: VolumeState.abnormal("").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            toldAt: .seconds(-60),
            at: .zero
        )
        #expect(reconciler.tellAll(at: .zero).isEmpty)
        reconciler.sweep([.abnormal("h1")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).isEmpty)
        #expect(reconciler.tellAll(at: .seconds(1740)).map(\.cause) == [.refresh])
    }

    @Test mutating func rule9_whatWasToldOfAClaimMadeAnewCountsForNothing() {
        reconciler.restore(
            told: VolumeState.abnormal("").fingerprint,
            claimUID: "of an earlier claim",
            key: claim.key,
            toldAt: .zero,
            at: .zero
        )
        reconciler.sweep([.healthy("h1")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).isEmpty)
    }

    @Test mutating func rule9_anUnknownConditionOfAnEarlierProcessIsNotToldAgain() {
        let strange = UnknownCondition(type: 9, reason: "New", message: "m")
        let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [strange])
        reconciler.restore(
            toldUnknown: UnknownConditionState(condition: strange).fingerprint,
            claimUID: claim.uid,
            key: claim.key
        )
        reconciler.sweep([report], at: .zero)
        #expect(reconciler.tellUnknowns(at: .zero).isEmpty)
    }

    @Test mutating func rule6_unknownConditionsAreToldOnceForEachTypeAndReason() {
        let first = UnknownCondition(type: 9, reason: "New", message: "m")
        let second = UnknownCondition(type: 9, reason: "Newer", message: "m")
        for seconds in 0..<3 {
            for condition in [first, second] {
                let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [condition])
                reconciler.sweep([report], at: .seconds(seconds))
            }
        }
        #expect(reconciler.tellUnknowns(at: .seconds(3)) == [first, second])
        #expect(reconciler.healthCounts == [.unknown: 1])
    }

    @Test mutating func rule11_anUnknownConditionOfAClaimThatIsGoneIsNotTold() {
        let strange = UnknownCondition(type: 9, reason: "New", message: "m")
        reconciler.sweep(
            [VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [strange])],
            at: .zero
        )
        reconciler.removeVolume(named: "pv-csi-pvc", at: .zero)
        #expect(reconciler.tellUnknowns(at: .zero).isEmpty)
        #expect(reconciler.unknowns.isEmpty)
    }

    @Test mutating func rule6_anUnknownConditionIsNeverHealth() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        let strange = UnknownCondition(type: 0, reason: "", message: "")
        let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [strange])
        reconciler.sweep([.healthy("h1"), report], at: .seconds(1))
        reconciler.sweep([report, .healthy("h1")], at: .seconds(2))
        #expect(reconciler.tellAll(at: .seconds(2)).isEmpty)
        #expect(reconciler.healthCounts == [.adverse: 1])
    }

    @Test mutating func whatIsWrongIsKnownByClaim() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        #expect(reconciler.adverseStates(of: reconciler.adverseClaims).map(\.claim) == [claim])
        reconciler.removeClaim(claim.key, at: .zero)
        #expect(reconciler.adverseClaims.isEmpty)
    }

    @Test mutating func rule11_aPendingStatusOfADeletedClaimHoldsUpNobody() {
        let other = Claim.named("other")
        reconciler.bind(other, handle: "h2")
        reconciler.sweep([.abnormal("h1"), .abnormal("h2")], at: .zero)
        // The volume's event comes before the claim's: two streams.
        reconciler.removeVolume(named: "pv-csi-pvc", at: .zero)
        reconciler.removeClaim(claim.key, at: .zero)
        #expect(reconciler.statusBacklog.depth == 1)
        guard case .tell(let status) = reconciler.nextStatus(at: .zero) else {
            Issue.record("there is nothing to write")
            return
        }
        reconciler.settle(status: status, .unreachable, at: .zero)
        #expect(reconciler.writeAll(at: .seconds(300)).map(\.claim) == [other])
    }

    @Test mutating func rule9_aStatusWithoutAnyEventSaysWhatWasTold() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.restoreFromStatuses(except: [], at: .zero)
        reconciler.sweep([.healthy("h1")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).map(\.state.isClear) == [true])
    }

    @Test mutating func rule9_aLastingStatusWithoutAnyEventIsToldAsARefresh() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.restoreFromStatuses(except: [], at: .zero)
        reconciler.sweep([.abnormal("h1")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).map(\.cause) == [.refresh])
    }

    @Test mutating func rule9_whereEventsSayMoreTheyCount() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.restoreFromStatuses(except: [claim.uid], at: .zero)
        reconciler.sweep([.healthy("h1")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).isEmpty)
    }

    @Test mutating func rule9_aStatusWhoseVolumeWentWhileNobodyWatchedIsCleared() {
        reconciler.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        reconciler.removeVolume(named: "pv-csi-pvc", at: .zero)
        var fresh = Reconciler()
        fresh.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        fresh.restore(
            told: VolumeState.abnormal("").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            toldAt: .zero,
            at: .zero
        )
        #expect(fresh.writeAll(at: .zero).map(\.state.isClear) == [true])
        #expect(fresh.tellAll(at: .zero).isEmpty)
    }

    @Test mutating func aDriverThatNeverSaysTheSameTwiceIsNotToldForEver() {
        for number in 0..<100 {
            let strange = UnknownCondition(type: 9, reason: "\(number)", message: "")
            reconciler.sweep(
                [VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [strange])],
                at: .seconds(number)
            )
        }
        #expect(reconciler.tellUnknowns(at: .seconds(100)).count == 16)
    }
}
