// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

/// The contract in docs/architecture.md. Each test has the tag of its rule.
struct HealthStateTests {
    let claim = Claim.named("csi-pvc")
    let broken = VolumeHealthCondition(abnormalMessage: "broken")
    var healthState = HealthState()

    init() {
        healthState.bind(claim, handle: "h1")
    }

    @Test mutating func `an abnormal volume is reported on its claim`() throws {
        let number = try #require(healthState.index.number(at: claim.key))
        healthState.sweep([.abnormal("h1")], at: .seconds(7))
        #expect(
            healthState.reportAll(at: .seconds(8)) == [
                PendingReport(
                    key: number,
                    target: claim,
                    state: VolumeState([broken]),
                    since: .seconds(7),
                    due: .seconds(7),
                    cause: .transition,
                    isOwn: false,
                    attemptID: 1,
                    number: 1
                )
            ]
        )
    }

    @Test(.tags(.rule2)) mutating func `an incomplete list clears nothing`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)

        healthState.sweep([.healthy("h1")], .incomplete, at: .seconds(60))
        #expect(healthState.reportAll(at: .seconds(60)).isEmpty)

        healthState.sweep([.healthy("h1")], at: .seconds(120))
        #expect(healthState.reportAll(at: .seconds(120)).map(\.state.conditions) == [[]])
    }

    @Test(.tags(.rule2)) mutating func `an incomplete list still reports what it found`() {
        healthState.sweep([.abnormal("h1")], .incomplete, at: .zero)
        #expect(healthState.reportAll(at: .zero).count == 1)
    }

    @Test(.tags(.rule2)) mutating func `a list that never ended leaves nothing behind`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        healthState.beginSweep(at: .seconds(1))
        healthState.receive(.healthy("h1"), at: .seconds(1))

        healthState.sweep([], at: .seconds(2))
        #expect(healthState.reportAll(at: .seconds(2)).isEmpty)
    }

    @Test(.tags(.rule2)) mutating func `when pages disagree, the worse one counts`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        healthState.sweep([.healthy("h1"), .abnormal("h1")], at: .seconds(1))
        healthState.sweep([.abnormal("h1"), .healthy("h1")], at: .seconds(2))
        #expect(healthState.reportAll(at: .seconds(2)).isEmpty)
    }

    @Test(.tags(.rule3)) mutating func `an explicitly healthy volume is cleared by the list that says so`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        healthState.sweep([.healthy("h1")], at: .seconds(1))
        #expect(healthState.reportAll(at: .seconds(1)).map(\.state.conditions) == [[]])
    }

    @Test(.tags(.rule6)) mutating func `a new message is not a transition and is throttled`() {
        healthState.sweep([.abnormal("h1", "one")], at: .zero)
        _ = healthState.reportAll(at: .zero)

        healthState.sweep([.abnormal("h1", "two")], at: .seconds(60))
        #expect(healthState.reportAll(at: .seconds(60)).isEmpty)

        let reported = healthState.reportAll(at: .seconds(600))
        #expect(reported.map(\.cause) == [.refresh])
        #expect(reported.first?.state.conditions.first?.message == "two")
    }

    @Test(.tags(.rule6)) mutating func `a new reason is a transition`() {
        let worse = VolumeHealthCondition(status: .inaccessible, reason: "Unreachable", message: "broken")
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        healthState.sweep([VolumeHealthReport(volumeHandle: "h1", conditions: [worse])], at: .seconds(1))
        #expect(healthState.reportAll(at: .seconds(1)).map(\.cause) == [.transition])
    }

    @Test(.tags(.rule8)) mutating func `a lasting condition is reported once and refreshed slowly`() {
        var causes: [ReportCause] = []
        for minute in 0...60 {
            healthState.sweep([.abnormal("h1")], at: .seconds(minute * 60))
            causes += healthState.reportAll(at: .seconds(minute * 60)).map(\.cause)
        }
        #expect(causes == [.transition, .refresh, .refresh])
    }

    @Test(.tags(.rule8)) mutating func `a recovery is reported once`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        var reported: [PendingReport<ClaimNumber, VolumeState, Claim>] = []
        for minute in 1...60 {
            healthState.sweep([.healthy("h1")], at: .seconds(minute * 60))
            reported += healthState.reportAll(at: .seconds(minute * 60))
        }
        #expect(reported.map(\.state.conditions) == [[]])
    }

    @Test(.tags(.rule10)) mutating func `a volume that recovers before the report is not reported`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        healthState.sweep([.healthy("h1")], at: .seconds(1))
        #expect(healthState.reportAll(at: .seconds(1)).isEmpty)
        #expect(healthState.reportAll(at: .seconds(7200)).isEmpty)
    }

    @Test(.tags(.rule11)) mutating func `a deleted claim is not reported`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        healthState.removeClaim(claim.key, at: .zero)
        #expect(healthState.reportAll(at: .zero).isEmpty)
    }

    @Test(.tags(.rule11)) mutating func `a recreated claim is reported as another claim`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        let recreated = Claim.named("csi-pvc", uid: "recreated")
        healthState.bind(recreated, handle: "h1")
        healthState.sweep([.abnormal("h1")], at: .seconds(1))
        #expect(healthState.reportAll(at: .seconds(1)).map(\.claim) == [recreated])
    }

    @Test(.tags(.rule11)) mutating func `both claims of a shared handle are reported`() {
        let other = Claim.named("other")
        healthState.bind(other, handle: "h1")
        healthState.sweep([.abnormal("h1")], at: .zero)
        #expect(healthState.reportAll(at: .zero).map(\.claim) == [claim, other])
    }

    @Test(.tags(.rule11)) mutating func `volumes without a claim are ignored`() {
        healthState.sweep([.abnormal("unclaimed")], at: .zero)
        #expect(healthState.nextEvent(at: .zero) == .wait(until: nil))
    }

    @Test(.tags(.rule12)) mutating func `healthy volumes cause no report`() {
        for minute in 0..<120 {
            healthState.sweep([.healthy("h1"), .healthy("unclaimed")], at: .seconds(minute * 60))
            #expect(healthState.nextEvent(at: .seconds(minute * 60)) == .wait(until: nil))
        }
    }

    @Test(.tags(.rule2)) mutating func `the conditions of one volume on several pages are one set`() {
        let (one, two) = (
            VolumeHealthCondition(status: .degraded, reason: "A", message: ""),
            VolumeHealthCondition(status: .dataLoss, reason: "B", message: "")
        )
        let pages = [one, two].map { VolumeHealthReport(volumeHandle: "h1", conditions: [$0]) }
        healthState.sweep(pages, at: .zero)
        #expect(healthState.reportAll(at: .zero).map(\.state.conditions) == [[two, one]])
        for second in 1...3 {
            healthState.beginSweep(at: .seconds(second))
            for page in pages {
                healthState.receive(page, at: .seconds(second))
                #expect(healthState.reportAll(at: .seconds(second)).isEmpty)
            }
            _ = healthState.endSweep(.complete(.everyVolume, canConfirm: false), at: .seconds(second))
            #expect(healthState.reportAll(at: .seconds(second)).isEmpty)
        }
        // A list that fails after the first page clears nothing of the second.
        healthState.sweep([pages[0]], .incomplete, at: .seconds(4))
        #expect(healthState.reportAll(at: .seconds(4)).isEmpty)
        // Nor of what an earlier leader reported.
        var next = HealthState()
        next.bind(claim, handle: "h1")
        let both = VolumeState([one, two])
        next.restore(
            reported: both.fingerprint,
            state: both,
            claimUID: claim.uid,
            key: claim.key,
            reportedAt: .seconds(-60),
            at: .zero
        )
        next.sweep([pages[0]], .incomplete, at: .zero)
        #expect(next.reportAll(at: .zero).isEmpty)
    }
}
