// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

/// The contract of docs/architecture.md, each test named after its rule.
struct ReconcilerTests {
    let claim = Claim.named("csi-pvc")
    let broken = VolumeHealthCondition(abnormalMessage: "broken")
    var reconciler = Reconciler()

    init() {
        reconciler.bind(claim, handle: "h1")
    }

    @Test mutating func anAbnormalVolumeIsToldOnItsClaim() throws {
        let number = try #require(reconciler.index.number(at: claim.key))
        reconciler.sweep([.abnormal("h1")], at: .seconds(7))
        #expect(
            reconciler.tellAll(at: .seconds(8)) == [
                Announcement(
                    key: number,
                    claim: claim,
                    state: VolumeState([broken]),
                    since: .seconds(7),
                    cause: .transition,
                    isOwn: false,
                    telling: 1,
                    number: 1
                )
            ]
        )
    }

    @Test mutating func rule2_anIncompleteListClearsNothing() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)

        reconciler.sweep([.healthy("h1")], .incomplete, at: .seconds(60))
        #expect(reconciler.tellAll(at: .seconds(60)).isEmpty)

        reconciler.sweep([.healthy("h1")], at: .seconds(120))
        #expect(reconciler.tellAll(at: .seconds(120)).map(\.state.conditions) == [[]])
    }

    @Test mutating func rule2_anIncompleteListStillTellsWhatItFound() {
        reconciler.sweep([.abnormal("h1")], .incomplete, at: .zero)
        #expect(reconciler.tellAll(at: .zero).count == 1)
    }

    @Test mutating func rule2_aListThatWasNeverEndedLeavesNothingBehind() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        reconciler.beginSweep(at: .seconds(1))
        reconciler.receive(.healthy("h1"), at: .seconds(1))

        reconciler.sweep([], at: .seconds(2))
        #expect(reconciler.tellAll(at: .seconds(2)).isEmpty)
    }

    @Test mutating func rule2_pagesThatDisagreeMeanTheWorse() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        reconciler.sweep([.healthy("h1"), .abnormal("h1")], at: .seconds(1))
        reconciler.sweep([.abnormal("h1"), .healthy("h1")], at: .seconds(2))
        #expect(reconciler.tellAll(at: .seconds(2)).isEmpty)
    }

    @Test mutating func rule3_anExplicitlyHealthyVolumeIsClearedByTheListThatSaysSo() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        reconciler.sweep([.healthy("h1")], at: .seconds(1))
        #expect(reconciler.tellAll(at: .seconds(1)).map(\.state.conditions) == [[]])
    }

    @Test mutating func rule6_aChangedMessageIsNoTransitionAndIsThrottled() {
        reconciler.sweep([.abnormal("h1", "one")], at: .zero)
        _ = reconciler.tellAll(at: .zero)

        reconciler.sweep([.abnormal("h1", "two")], at: .seconds(60))
        #expect(reconciler.tellAll(at: .seconds(60)).isEmpty)

        let told = reconciler.tellAll(at: .seconds(600))
        #expect(told.map(\.cause) == [.refresh])
        #expect(told.first?.state.conditions.first?.message == "two")
    }

    @Test mutating func rule6_anotherReasonIsATransition() {
        let worse = VolumeHealthCondition(status: .inaccessible, reason: "Unreachable", message: "broken")
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        reconciler.sweep([VolumeHealthReport(volumeHandle: "h1", conditions: [worse])], at: .seconds(1))
        #expect(reconciler.tellAll(at: .seconds(1)).map(\.cause) == [.transition])
    }

    @Test mutating func rule8_whatLastsIsToldOnceAndRefreshedSlowly() {
        var causes: [AnnouncementCause] = []
        for minute in 0...60 {
            reconciler.sweep([.abnormal("h1")], at: .seconds(minute * 60))
            causes += reconciler.tellAll(at: .seconds(minute * 60)).map(\.cause)
        }
        #expect(causes == [.transition, .refresh, .refresh])
    }

    @Test mutating func rule8_aRecoveryIsToldOnce() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        var told: [Announcement<ClaimNumber, VolumeState>] = []
        for minute in 1...60 {
            reconciler.sweep([.healthy("h1")], at: .seconds(minute * 60))
            told += reconciler.tellAll(at: .seconds(minute * 60))
        }
        #expect(told.map(\.state.conditions) == [[]])
    }

    @Test mutating func rule10_aVolumeThatRecoversBeforeItWasToldIsNotTold() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        reconciler.sweep([.healthy("h1")], at: .seconds(1))
        #expect(reconciler.tellAll(at: .seconds(1)).isEmpty)
        #expect(reconciler.tellAll(at: .seconds(7200)).isEmpty)
    }

    @Test mutating func rule11_aClaimDeletedMeanwhileIsNotTold() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        reconciler.removeClaim(claim.key, at: .zero)
        #expect(reconciler.tellAll(at: .zero).isEmpty)
    }

    @Test mutating func rule11_aClaimMadeAnewIsToldOnItsOwn() {
        reconciler.sweep([.abnormal("h1")], at: .zero)
        _ = reconciler.tellAll(at: .zero)
        let anew = Claim.named("csi-pvc", uid: "anew")
        reconciler.bind(anew, handle: "h1")
        reconciler.sweep([.abnormal("h1")], at: .seconds(1))
        #expect(reconciler.tellAll(at: .seconds(1)).map(\.claim) == [anew])
    }

    @Test mutating func rule11_bothClaimsOfASharedHandleAreTold() {
        let other = Claim.named("other")
        reconciler.bind(other, handle: "h1")
        reconciler.sweep([.abnormal("h1")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).map(\.claim) == [claim, other])
    }

    @Test mutating func rule11_volumesThatNobodyClaimsAreIgnored() {
        reconciler.sweep([.abnormal("nobodys")], at: .zero)
        #expect(reconciler.nextEvent(at: .zero) == .wait(until: nil))
    }

    @Test mutating func rule12_aHealthyFleetIsToldNothing() {
        for minute in 0..<120 {
            reconciler.sweep([.healthy("h1"), .healthy("nobodys")], at: .seconds(minute * 60))
            #expect(reconciler.nextEvent(at: .seconds(minute * 60)) == .wait(until: nil))
        }
    }

    @Test mutating func rule2_conditionsSplitOverPagesAreOneSet() {
        let (one, two) = (
            VolumeHealthCondition(status: .degraded, reason: "A", message: ""),
            VolumeHealthCondition(status: .dataLoss, reason: "B", message: "")
        )
        let pages = [one, two].map { VolumeHealthReport(volumeHandle: "h1", conditions: [$0]) }
        reconciler.sweep(pages, at: .zero)
        #expect(reconciler.tellAll(at: .zero).map(\.state.conditions) == [[two, one]])
        for second in 1...3 {
            reconciler.beginSweep(at: .seconds(second))
            for page in pages {
                reconciler.receive(page, at: .seconds(second))
                #expect(reconciler.tellAll(at: .seconds(second)).isEmpty)
            }
            _ = reconciler.endSweep(.complete(.everyVolume, canConfirm: false), at: .seconds(second))
            #expect(reconciler.tellAll(at: .seconds(second)).isEmpty)
        }
        // A list that ends after the first page clears nothing of the second.
        reconciler.sweep([pages[0]], .incomplete, at: .seconds(4))
        #expect(reconciler.tellAll(at: .seconds(4)).isEmpty)
    }
}
