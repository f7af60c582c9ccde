// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

/// Claims and volume handles are known by numbers, which are reused when they are gone.
struct ReusedNumberTests {
    let old = Claim.named("old")
    let new = Claim.named("new")
    var healthState = HealthState()

    init() {
        healthState.bind(old, handle: "h-old")
    }

    @Test(arguments: [true, false])
    mutating func `a new claim gets no report of the claim whose number it reuses`(byRelist: Bool) throws {
        let number = try #require(healthState.index.number(at: old.key))
        healthState.sweep([.abnormal("h-old")], at: .zero)
        let event = try #require(healthState.nextEvent(at: .zero).job)
        let status = try #require(healthState.nextStatus(at: .zero).job)
        if byRelist {
            healthState.beginClaimRelist()
            healthState.endClaimRelist(at: .zero)
        } else {
            healthState.removeClaim(old.key, at: .zero)
        }
        healthState.bind(new, handle: "h-new")
        #expect(healthState.index.number(at: new.key) == number)
        #expect(healthState.unhealthyClaims.isEmpty)

        // The reports in flight for the old claim are over, and count for no other claim.
        healthState.complete(event: event, .responseLost, at: .zero)
        healthState.complete(status: status, .reported, at: .zero)
        healthState.sweep([.healthy("h-new")], at: .seconds(60))
        #expect(healthState.reportAll(at: .seconds(60)).isEmpty)
        #expect(healthState.writeAll(at: .seconds(60)).isEmpty)
        healthState.sweep([.abnormal("h-new", "worn")], at: .seconds(120))
        #expect(healthState.reportAll(at: .seconds(120)).map(\.claim) == [new])
        #expect(healthState.writeAll(at: .seconds(120)).map(\.state) == [.abnormal("worn")])
    }

    @Test mutating func `a claim with the same name and another UID is another claim`() {
        healthState.sweep([.abnormal("h-old")], at: .zero)
        #expect(healthState.reportAll(at: .zero).map(\.claim) == [old])
        let again = Claim.named("old", uid: "another")
        healthState.bind(again, handle: "h-old", at: .zero)
        #expect(healthState.unhealthyClaims.isEmpty)
        #expect(healthState.statusBacklog.depth == 0)
        healthState.sweep([.abnormal("h-old")], at: .seconds(60))
        #expect(healthState.reportAll(at: .seconds(60)).map(\.claim) == [again])
    }

    @Test(arguments: [HealthState.SweepEnd.incomplete, .complete(.everyVolume, canConfirm: false)])
    mutating func `what a sweep found of a volume does not apply to the one that reuses its handle's number`(
        end: HealthState.SweepEnd
    ) {
        let number = healthState.index.number(ofVolumeHandle: "h-old")
        for isListed in [true, false] {
            healthState.beginSweep(at: .zero)
            healthState.receive(.abnormal("h-old"), at: .zero)
            healthState.removeVolume(named: "pv-old", at: .zero)
            healthState.removeClaim(old.key, at: .zero)
            healthState.bind(new, handle: "h-new")
            #expect(healthState.index.number(ofVolumeHandle: "h-new") == number)
            if isListed { healthState.receive(.healthy("h-new"), at: .zero) }
            #expect(healthState.endSweep(end, at: .zero).isEmpty)
            #expect(healthState.unhealthyClaims.isEmpty)

            healthState.removeVolume(named: "pv-new", at: .zero)
            healthState.removeClaim(new.key, at: .zero)
            healthState.bind(old, handle: "h-old")
        }
    }

    @Test mutating func `a healthy volume is not taken for the one that reuses its handle's number`() {
        healthState.bind(new, handle: "h-new")
        healthState.sweep([.abnormal("h-old"), .abnormal("h-new")], at: .zero)
        #expect(healthState.reportAll(at: .zero).count == 2)

        healthState.beginSweep(at: .seconds(60))
        healthState.receive(.healthy("h-old"), at: .seconds(60))
        healthState.removeVolume(named: "pv-old", at: .seconds(60))
        // The volume gets another handle, which reuses the free number.
        healthState.apply(.of(new, handle: "h-other"), at: .seconds(60))
        _ = healthState.endSweep(.complete(.everyVolume, canConfirm: false), at: .seconds(60))
        #expect(healthState.unhealthyStates(of: healthState.unhealthyClaims).map(\.claim) == [new])
    }
}
