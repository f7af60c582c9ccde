// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

/// Claims and volume handles are known by numbers, which others get when they are gone.
struct ReusedNumberTests {
    let old = Claim.named("old")
    let new = Claim.named("new")
    var reconciler = Reconciler()

    init() {
        reconciler.bind(old, handle: "h-old")
    }

    @Test(arguments: [true, false])
    mutating func aNewClaimIsToldNothingOfTheOneWhoseNumberItGets(byRelist: Bool) throws {
        let number = try #require(reconciler.index.number(at: old.key))
        reconciler.sweep([.abnormal("h-old")], at: .zero)
        guard case .tell(let event) = reconciler.nextEvent(at: .zero),
            case .tell(let status) = reconciler.nextStatus(at: .zero)
        else {
            Issue.record("there is nothing to tell")
            return
        }
        if byRelist {
            reconciler.beginClaimRelist()
            reconciler.endClaimRelist(at: .zero)
        } else {
            reconciler.removeClaim(old.key, at: .zero)
        }
        reconciler.bind(new, handle: "h-new")
        #expect(reconciler.index.number(at: new.key) == number)
        #expect(reconciler.adverseClaims.isEmpty)

        // What was under way for the old one is over, and nobody's.
        reconciler.settle(event: event, .unanswered, at: .zero)
        reconciler.settle(status: status, .told, at: .zero)
        reconciler.sweep([.healthy("h-new")], at: .seconds(60))
        #expect(reconciler.tellAll(at: .seconds(60)).isEmpty)
        #expect(reconciler.writeAll(at: .seconds(60)).isEmpty)
        reconciler.sweep([.abnormal("h-new", "worn")], at: .seconds(120))
        #expect(reconciler.tellAll(at: .seconds(120)).map(\.claim) == [new])
        #expect(reconciler.writeAll(at: .seconds(120)).map(\.state) == [.abnormal("worn")])
    }

    @Test mutating func aClaimOfTheSameNameAndAnotherUIDIsAnother() {
        reconciler.sweep([.abnormal("h-old")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).map(\.claim) == [old])
        let again = Claim.named("old", uid: "another")
        reconciler.bind(again, handle: "h-old", at: .zero)
        #expect(reconciler.adverseClaims.isEmpty)
        #expect(reconciler.statusBacklog.depth == 0)
        reconciler.sweep([.abnormal("h-old")], at: .seconds(60))
        #expect(reconciler.tellAll(at: .seconds(60)).map(\.claim) == [again])
    }

    @Test(arguments: [Reconciler.SweepEnd.incomplete, .complete(.everyVolume, canConfirm: false)])
    mutating func whatASweepSaidOfAVolumeIsNotSaidOfTheOneThatGetsItsHandlesNumber(end: Reconciler.SweepEnd) {
        let number = reconciler.index.number(ofVolumeHandle: "h-old")
        for isListed in [true, false] {
            reconciler.beginSweep(at: .zero)
            reconciler.receive(.abnormal("h-old"), at: .zero)
            reconciler.removeVolume(named: "pv-old", at: .zero)
            reconciler.removeClaim(old.key, at: .zero)
            reconciler.bind(new, handle: "h-new")
            #expect(reconciler.index.number(ofVolumeHandle: "h-new") == number)
            if isListed { reconciler.receive(.healthy("h-new"), at: .zero) }
            #expect(reconciler.endSweep(end, at: .zero).isEmpty)
            #expect(reconciler.adverseClaims.isEmpty)

            reconciler.removeVolume(named: "pv-new", at: .zero)
            reconciler.removeClaim(new.key, at: .zero)
            reconciler.bind(old, handle: "h-old")
        }
    }

    @Test mutating func aVolumeThatWasWellIsNotTheOneThatGetsItsHandlesNumber() {
        reconciler.bind(new, handle: "h-new")
        reconciler.sweep([.abnormal("h-old"), .abnormal("h-new")], at: .zero)
        #expect(reconciler.tellAll(at: .zero).count == 2)

        reconciler.beginSweep(at: .seconds(60))
        reconciler.receive(.healthy("h-old"), at: .seconds(60))
        reconciler.removeVolume(named: "pv-old", at: .seconds(60))
        // Another handle of the volume: the number is free, and given to it.
        reconciler.apply(.of(new, handle: "h-other"), at: .seconds(60))
        _ = reconciler.endSweep(.complete(.everyVolume, canConfirm: false), at: .seconds(60))
        #expect(reconciler.adverseStates(of: reconciler.adverseClaims).map(\.claim) == [new])
    }
}
