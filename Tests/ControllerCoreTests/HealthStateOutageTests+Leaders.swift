// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

/// Outages at a change of the leader.
extension HealthStateOutageTests {
    @Test(.tags(.rule9)) func `a new leader finds the outage again, and reports no second one`() {
        var next = Self.state()
        #expect(next.hasOutage == nil)
        next.restoreOutage(since: .seconds(-500), at: .zero)
        // The metric goes on, so that the alert does not resolve.
        #expect(next.hasOutage == true)
        next.sweep(Self.reports(0..<10), at: .zero)
        #expect(next.outage?.since == .seconds(-500))
        #expect(Self.reportOutages(&next, at: .zero).isEmpty)
        // The event on the driver exists: those on claims do not wait for it.
        #expect(next.reportAll(at: .zero).count == 10)
        // Its numbers may differ from those that the last leader reported.
        #expect(Self.reportOutages(&next, at: .seconds(60)).count == 1)
        next.sweep(Self.reports([]), at: .seconds(300))
        #expect(
            Self.reportOutages(&next, at: .seconds(300)) == [.ended(lasted: .seconds(800), unhealthy: 0, volumes: 40)]
        )
    }

    @Test(.tags(.rule9)) func `a new leader ends an outage that is over, after its first sweep`() {
        var next = Self.state()
        next.restoreOutage(since: .seconds(-500), at: .zero)
        next.sweep(Self.reports(0..<3), .incomplete, at: .zero)
        #expect(Self.reportOutages(&next, at: .zero).isEmpty)
        next.sweep(Self.reports(0..<3), at: .seconds(100))
        #expect(
            Self.reportOutages(&next, at: .seconds(100)) == [.ended(lasted: .seconds(600), unhealthy: 3, volumes: 40)]
        )
        #expect(next.hasOutage == false)
        next.sweep(Self.reports(0..<3), at: .seconds(400))
        #expect(Self.reportOutages(&next, at: .seconds(400)).isEmpty)
    }

    /// Missing volumes that were reported stay reported, while a new leader suspects the driver (rule 5).
    @Test(.tags(.rule5)) func `an outage of which a new leader knows only the reports lasts`() {
        var next = Self.state()
        for number in 0..<10 {
            let missing = VolumeState([.notFound(volumeHandle: "h\(number)")])
            let claim = Claim.named("c\(number)")
            next.restore(
                reported: missing.fingerprint,
                state: missing,
                claimUID: claim.uid,
                key: claim.key,
                reportedAt: .seconds(-60),
                at: .zero
            )
        }
        next.restoreOutage(since: .seconds(-60), at: .zero)
        next.sweep(Array(Self.reports([]).suffix(30)), at: .zero)
        #expect(next.outage?.unhealthy == 10)
        #expect(next.outage?.conditions.map(\.identity.reason) == ["VolumeNotFound"])
        #expect(Self.reportOutages(&next, at: .zero).isEmpty)
    }

    /// A new leader that has read back on the first of the volumes that they were unhealthy.
    ///
    /// - Parameter shown: what was reported on them.
    private static func state(
        restoring times: [Duration],
        as shown: VolumeState = VolumeState([condition(.inaccessible)])
    ) -> HealthState {
        var state = state()
        for (number, since) in times.enumerated() {
            let claim = Claim.named("c\(number)")
            state.restore(
                reported: shown.fingerprint,
                state: shown,
                claimUID: claim.uid,
                key: claim.key,
                reportedAt: .seconds(-60),
                since: since,
                at: .zero
            )
        }
        return state
    }

    /// One volume has turned unhealthy on each of ten days.
    private static let days = (1...10).map { Duration.seconds(-86_400 * $0) }

    @Test func `without its event, a new leader takes the beginning from the claims`() throws {
        // The first one was unhealthy long before.
        let times = [.seconds(-86_400)] + (1..<10).map { Duration.seconds($0 - 500) }
        var next = Self.state(restoring: times)
        next.sweep(Self.reports(0..<10), at: .zero)
        #expect(try Self.outage(Self.reportOutages(&next, at: .zero)).since == .seconds(-499))
    }

    @Test func `volumes that turned unhealthy one after the other are no outage for a new leader`() {
        var next = Self.state(restoring: Self.days)
        next.sweep(Self.reports(0..<10), at: .zero)
        #expect(Self.reportOutages(&next, at: .zero).isEmpty)
        #expect(next.hasOutage == false)
        #expect(next.volumeUsage == VolumeUsage(volumes: 40, unhealthy: 10))
        // What turns unhealthy from now on counts.
        next.sweep(Self.reports(0..<15), at: .seconds(300))
        #expect(next.hasOutage == false)
        next.sweep(Self.reports(0..<21), at: .seconds(600))
        #expect(next.outage?.since == .seconds(600))
    }

    /// As after an update of the driver, or where only the claims' conditions are left, which do not hold all of the
    /// reported state.
    @Test func `neither are they if the driver shows other conditions than were reported`() {
        var next = Self.state(restoring: Self.days, as: VolumeState([Self.condition(.degraded)]))
        next.sweep(Self.reports(0..<10), at: .zero)
        #expect(Self.reportOutages(&next, at: .zero).isEmpty)
        #expect(next.hasOutage == false)
        // Nothing holds the events on the claims back.
        #expect(next.reportAll(at: .zero).count == 10)
    }

    @Test mutating func `neither are they where volumes are probed one by one`() {
        state = Self.state(restoring: Self.days)
        state.beginProbing(interval: .seconds(60), at: .zero, using: &Self.random)
        for number in 0..<10 { probe(number, [Self.condition(.inaccessible)], at: .seconds(1)) }
        #expect(reportOutages(at: .seconds(20)).isEmpty)
        #expect(state.nextEvent(at: .seconds(20)).job == nil)
        // New ones count.
        for number in 10..<16 { probe(number, [Self.condition(.inaccessible)], at: .seconds(20)) }
        #expect(state.nextEvent(at: .seconds(20)) == .wait(until: .seconds(32)))
    }

    /// The window is the interval, not that of lists.
    @Test(arguments: [(5, true), (15, false)])
    mutating func `neither are they if they turned unhealthy in several intervals`(gap: Int, isOutage: Bool) {
        state = Self.state(restoring: (1...8).map { .seconds(-gap * $0) })
        state.beginProbing(interval: .seconds(60), at: .zero, using: &Self.random)
        var now = Duration.zero
        while now < .seconds(60) {
            switch state.nextProbe(at: now) {
            case .run(let handle):
                let isUnhealthy = (0..<8).contains { handle == "h\($0)" }
                let conditions = isUnhealthy ? [Self.condition(.inaccessible)] : []
                let report = VolumeHealthReport(volumeHandle: handle, conditions: conditions)
                state.receive(.report(report), ofVolumeHandle: handle, at: now)
            case .wait(let due): now = due ?? .seconds(60)
            }
        }
        #expect(state.completedRound(at: now) != nil)
        #expect(reportOutages(at: now).count == (isOutage ? 1 : 0))
    }

    /// As after an outage that has ended, while its recoveries are still being recorded.
    @Test func `volumes whose recovery is not confirmed yet are no outage for a new leader`() {
        var next = Self.state(restoring: (0..<10).map { _ in .seconds(-60) })
        next.sweep(Array(Self.reports([]).suffix(30)), at: .zero)
        #expect(Self.reportOutages(&next, at: .zero).isEmpty)
        #expect(next.hasOutage == false)
    }

    @Test func `an outage that follows them does not begin with them`() throws {
        var next = Self.state(restoring: Self.days)
        next.sweep(Self.reports(0..<18), at: .zero)
        let outage = try Self.outage(Self.reportOutages(&next, at: .zero))
        #expect(outage.since == .zero)
        #expect(outage.unhealthy == 18)
    }

    @Test func `volumes that turn unhealthy shortly before and after a change of the leader are one outage`() throws {
        var next = Self.state(restoring: (1...4).map { .seconds(-10 * $0) })
        next.sweep(Self.reports(0..<7), at: .zero)
        #expect(next.nextEvent(at: .zero) == .wait(until: .seconds(12)))
        let outage = try Self.outage(Self.reportOutages(&next, at: .zero))
        #expect(outage.since == .seconds(-40))
        #expect(outage.unhealthy == 7)
        #expect(next.reportAll(at: .zero).count == 3)
    }

    @Test func `a term ends the outage of this process, and reports of it are ignored`() throws {
        var next = Self.state()
        next.sweep(Self.reports(0..<10), at: .zero)
        let report = try #require(next.nextOutageEvent(at: .zero).job)
        next.endTerm()
        #expect(next.outage == nil)
        #expect(next.volumeUsage == nil)
        next.beginTerm()
        next.complete(outageEvent: report, .reported, at: .seconds(1))
        next.sweep(Self.reports(0..<10), at: .seconds(2))
        #expect(Self.reportOutages(&next, at: .seconds(2)).count == 1)
    }
}
