// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Outages of a driver with 40 volumes, of which more than five are one.
@Suite struct HealthStateOutageTests {
    private static let volumes = 40
    private static let configuration = HealthState.Configuration(outageLimits: OutageLimits())
    private var state: HealthState

    init() {
        state = Self.state()
    }

    private static func state() -> HealthState {
        var state = HealthState(configuration: configuration)
        state.beginStrategy(writesStatus: true)
        fill(&state)
        return state
    }

    private static func fill(_ state: inout HealthState) {
        for number in 0..<volumes {
            let claim = Claim.named("c\(number)")
            var volume = MonitoredVolume.of(claim, handle: "h\(number)")
            volume.placement = VolumePlacement(
                storageClass: "gold",
                segments: [TopologySegment(key: "zone", value: number < 20 ? "a" : "b")]
            )
            state.apply(volume, at: .zero)
            state.apply(claim, volumeName: "pv-c\(number)", at: .zero)
        }
    }

    private static func condition(
        _ status: VolumeHealthCondition.Status,
        _ reason: String = "R"
    ) -> VolumeHealthCondition {
        VolumeHealthCondition(status: status, reason: reason, message: "m")
    }

    /// The reports of a list in which these volumes are unhealthy.
    private static func reports(
        _ unhealthy: some Collection<Int>,
        _ condition: VolumeHealthCondition = condition(.inaccessible)
    ) -> [VolumeHealthReport] {
        (0..<volumes).map { number in
            VolumeHealthReport(volumeHandle: "h\(number)", conditions: unhealthy.contains(number) ? [condition] : [])
        }
    }

    /// Completes every event on the driver that is due now, and returns the states.
    private static func reportOutages(
        _ state: inout HealthState,
        _ outcome: ReportOutcome = .reported,
        at now: Duration
    ) -> [OutageState] {
        var reported: [OutageState] = []
        while case .run(let report) = state.nextOutageEvent(at: now) {
            reported.append(report.state)
            state.complete(outageEvent: report, outcome, at: now)
        }
        return reported
    }

    private mutating func reportOutages(at now: Duration) -> [OutageState] { Self.reportOutages(&state, at: now) }

    private static func outage(_ states: [OutageState]) throws -> DriverOutage {
        try #require(states.count == 1)
        guard case .lasting(let outage) = try #require(states.first) else {
            Issue.record("not an outage: \(states)")
            throw CancellationError()
        }
        return outage
    }

    @Test mutating func `an outage is reported with its numbers, once`() throws {
        state.sweep(Self.reports([]), at: .zero)
        #expect(state.volumeUsage == VolumeUsage(volumes: 40, unhealthy: 0))
        var reports = Self.reports(20..<30)
        let slow = [Self.condition(.degraded, "Slow"), Self.condition(.degraded, "Old")]
        reports[25] = VolumeHealthReport(volumeHandle: "h25", conditions: slow)
        state.sweep(reports, at: .seconds(300))
        let outage = try Self.outage(reportOutages(at: .seconds(300)))
        #expect(
            outage.summary(since: "2026-11-29T10:02:00Z")
                == """
                10 of 40 volumes unhealthy since 2026-11-29T10:02:00Z: Inaccessible (R) 9, Degraded (Old) 1, \
                Degraded (Slow) 1; all in zone b
                """
        )
        #expect(outage.since == .seconds(300))
        #expect(state.volumeUsage == VolumeUsage(volumes: 40, unhealthy: 10))
        state.sweep(reports, at: .seconds(600))
        #expect(reportOutages(at: .seconds(600)).isEmpty)
        #expect(state.outage != nil)
    }

    @Test(arguments: [5, 6]) mutating func `more than the threshold are an outage`(unhealthy: Int) {
        state.sweep(Self.reports([]), at: .zero)
        state.sweep(Self.reports(0..<unhealthy), at: .seconds(300))
        #expect(reportOutages(at: .seconds(300)).count == (unhealthy > 5 ? 1 : 0))
        #expect((state.outage != nil) == (unhealthy > 5))
    }

    @Test mutating func `volumes that turn unhealthy one sweep after the other are no outage`() {
        for sweep in 0...4 {
            let now = Duration.seconds(300 * sweep)
            state.sweep(Self.reports(0..<5 * sweep), at: now)
            #expect(reportOutages(at: now).isEmpty)
        }
        #expect(state.volumeUsage == VolumeUsage(volumes: 40, unhealthy: 20))
    }

    @Test(.tags(.rule2)) mutating func `an incomplete list and the next one are one sweep`() throws {
        state.sweep(Self.reports([]), at: .zero)
        state.sweep(Array(Self.reports(0..<4).prefix(4)), .incomplete, at: .seconds(300))
        #expect(reportOutages(at: .seconds(300)).isEmpty)
        state.sweep(Self.reports(0..<8), at: .seconds(310))
        let outage = try Self.outage(reportOutages(at: .seconds(310)))
        #expect(outage.unhealthy == 8)
        #expect(outage.since == .seconds(300))
    }

    @Test mutating func `its numbers are refreshed once a minute, if they change`() throws {
        state.sweep(Self.reports(0..<10), at: .zero)
        _ = reportOutages(at: .zero)
        state.sweep(Self.reports(0..<20), at: .seconds(10))
        #expect(reportOutages(at: .seconds(59)).isEmpty)
        state.sweep(Self.reports(0..<30), at: .seconds(59))
        #expect(try Self.outage(reportOutages(at: .seconds(60))).unhealthy == 30)
        state.sweep(Self.reports(0..<30), at: .seconds(300))
        #expect(reportOutages(at: .seconds(300)).isEmpty)
    }

    @Test mutating func `it ends once, when as many as the threshold are unhealthy`() {
        state.sweep(Self.reports(0..<10), at: .zero)
        _ = reportOutages(at: .zero)
        state.sweep(Self.reports(0..<6), at: .seconds(300))
        _ = reportOutages(at: .seconds(300))
        #expect(state.outage != nil)
        state.sweep(Self.reports(0..<5), at: .seconds(720))
        #expect(reportOutages(at: .seconds(720)) == [.ended(lasted: .seconds(720), unhealthy: 5, volumes: 40)])
        #expect(state.outage == nil)
        // One more does not begin it again.
        state.sweep(Self.reports(0..<6), at: .seconds(1020))
        state.sweep(Self.reports([]), at: .seconds(1320))
        #expect(reportOutages(at: .seconds(1320)).isEmpty)
    }

    @Test mutating func `events on claims follow the event on the driver, in the order of severity`() {
        var reports = Self.reports(0..<12, Self.condition(.degraded))
        reports[3] = VolumeHealthReport(volumeHandle: "h3", conditions: [Self.condition(.dataLoss)])
        reports[0] = .abnormal("h0")
        reports[7] = VolumeHealthReport(volumeHandle: "h7", conditions: [Self.condition(.inaccessible)])
        state.sweep(reports, at: .zero)
        #expect(state.nextEvent(at: .seconds(9)) == .wait(until: .seconds(30)))
        #expect(reportOutages(at: .seconds(9)).count == 1)
        let names = state.reportAll(at: .seconds(9)).map(\.claim.key.name)
        #expect(names == ["c3", "c7", "c1", "c2", "c4", "c5", "c6", "c8", "c9", "c10", "c11", "c0"])
    }

    @Test(arguments: [ReportOutcome.refused, .unreachable, .failed(RequestFailure(isForbidden: true))])
    mutating func `events on claims do not wait for an event on the driver that fails`(outcome: ReportOutcome) {
        state.sweep(Self.reports(0..<12), at: .zero)
        #expect(Self.reportOutages(&state, outcome, at: .zero).count == 1)
        #expect(state.reportAll(at: .zero).count == 12)
        // It is retried.
        #expect(reportOutages(at: .seconds(60)).count == 1)
    }

    @Test mutating func `events on claims wait for a request that hangs for 30 seconds at most`() {
        state.sweep(Self.reports(0..<12), at: .zero)
        #expect(state.nextOutageEvent(at: .zero).job != nil)
        #expect(state.reportAll(at: .seconds(29)).isEmpty)
        #expect(state.reportAll(at: .seconds(30)).count == 12)
    }

    @Test mutating func `a list that takes long does not delay the event`() throws {
        state.beginSweep(at: .zero)
        for report in Self.reports(0..<40).prefix(20) { state.receive(report, at: .zero) }
        #expect(state.nextOutageEvent(at: .seconds(1)) == .wait(until: .seconds(10)))
        #expect(try Self.outage(reportOutages(at: .seconds(10))).unhealthy == 20)
        for report in Self.reports(0..<40).suffix(20) { state.receive(report, at: .seconds(50)) }
        _ = state.endSweep(.complete(.everyVolume, canConfirm: false), at: .seconds(50))
        #expect(reportOutages(at: .seconds(50)).isEmpty)
        #expect(try Self.outage(reportOutages(at: .seconds(70))).unhealthy == 40)
    }

    @Test mutating func `volumes that have recovered before the event was recorded are no outage`() {
        state.beginProbing(interval: .seconds(60), at: .zero, using: &Self.random)
        for number in 0..<6 { probe(number, [Self.condition(.degraded)], at: .seconds(1)) }
        for number in 0..<6 { probe(number, [], at: .seconds(2)) }
        #expect(reportOutages(at: .seconds(11)).isEmpty)
        #expect(state.nextEvent(at: .seconds(11)) == .wait(until: nil))
        #expect(state.outage == nil)
    }

    // MARK: Volumes that are probed one by one

    private static var random: SeededGenerator {
        get { SeededGenerator(seed: 1) }
        // Each schedule begins with the same generator.
        set {}
    }

    private mutating func probe(_ number: Int, _ conditions: [VolumeHealthCondition], at now: Duration) {
        let report = VolumeHealthReport(volumeHandle: "h\(number)", conditions: conditions)
        state.receive(.report(report), ofVolumeHandle: "h\(number)", at: now)
    }

    @Test(arguments: [(5, true), (15, false)])
    mutating func `volumes that turn unhealthy within one interval are an outage`(gap: Int, isOutage: Bool) {
        state.beginProbing(interval: .seconds(60), at: .zero, using: &Self.random)
        for number in 0..<6 { probe(number, [Self.condition(.degraded)], at: .seconds(gap * number)) }
        #expect(reportOutages(at: .seconds(100)).count == (isOutage ? 1 : 0))
    }

    @Test mutating func `it is reviewed once a minute, and ends with its volumes`() throws {
        state.beginProbing(interval: .seconds(60), at: .zero, using: &Self.random)
        for number in 0..<12 { probe(number, [Self.condition(.degraded)], at: .seconds(number)) }
        #expect(try Self.outage(reportOutages(at: .seconds(15))).unhealthy == 12)
        for number in 0..<10 { probe(number, [], at: .seconds(20)) }
        _ = state.completedRound(at: .seconds(30))
        #expect(reportOutages(at: .seconds(30)).isEmpty)
        _ = state.completedRound(at: .seconds(80))
        #expect(reportOutages(at: .seconds(80)) == [.ended(lasted: .seconds(80), unhealthy: 2, volumes: 40)])
    }

    // MARK: Leaders

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
        #expect(state.nextEvent(at: .seconds(20)) == .wait(until: .seconds(50)))
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
        #expect(next.nextEvent(at: .zero) == .wait(until: .seconds(30)))
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

    /// Random lists, restarts of the leader, and volumes that come and go, against a model that compares one list with
    /// the one before it and, after a restart, since when the volumes are unhealthy.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `outages begin and end as a model says, and every claim is reported`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var state = Self.state()
        var now = Duration.zero
        var isLasting = false
        var wasUnhealthy: Set<Int> = []
        /// Since when each unhealthy volume is.
        var since: [Int: Duration] = [:]
        /// The last report on each claim, and how often an outage was reported or ended.
        var shown: [String: Bool] = [:]
        var reports: [Bool] = []
        for _ in 0..<30 {
            now += .seconds(300)
            let isRestart = Int.random(in: 0..<8, using: &random) == 0
            if isRestart {
                // The next leader reads back what this one has reported.
                state = Self.state()
                if isLasting { state.restoreOutage(since: now - .seconds(60), at: now) }
                for (number, time) in since {
                    let claim = Claim.named("c\(number)")
                    let broken = VolumeState([Self.condition(.inaccessible)])
                    state.restore(
                        reported: broken.fingerprint,
                        state: broken,
                        claimUID: claim.uid,
                        key: claim.key,
                        reportedAt: now,
                        since: time,
                        at: now
                    )
                }
            }
            let share = [0, 0, 5, 10, 20, 60, 100].randomElement(using: &random) ?? 0
            let unhealthy = Set((0..<Self.volumes).filter { _ in Int.random(in: 0..<100, using: &random) < share })
            state.sweep(Self.reports(unhealthy), at: now)
            since = Dictionary(uniqueKeysWithValues: unhealthy.map { ($0, since[$0] ?? now) })
            if isLasting {
                isLasting = unhealthy.count > 5
            } else if isRestart {
                isLasting = Dictionary(grouping: since.values, by: \.self).values.contains { $0.count > 5 }
            } else {
                isLasting = unhealthy.subtracting(wasUnhealthy).count > 5
            }
            wasUnhealthy = unhealthy
            #expect((state.outage != nil) == isLasting, "seed \(seed)")
            #expect(state.outage.map { $0.unhealthy == unhealthy.count } ?? true, "seed \(seed)")
            #expect(state.volumeUsage == VolumeUsage(volumes: Self.volumes, unhealthy: unhealthy.count))
            for report in Self.reportOutages(&state, at: now) where reports.last != !report.isClear {
                reports.append(!report.isClear)
            }
            #expect((reports.last ?? false) == isLasting, "seed \(seed)")
            for report in state.reportAll(at: now) { shown[report.claim.key.name] = !report.state.isClear }
            let names = Set(shown.filter(\.value).keys)
            #expect(names == Set(unhealthy.map { "c\($0)" }), "seed \(seed)")
        }
    }

    // MARK: Texts

    @Test func `thousands are separated, and what most have in common is named`() {
        let outage = DriverOutage(
            since: .zero,
            unhealthy: 1_234_567,
            volumes: 20_000_000,
            conditions: [
                .init(status: .inaccessible, reason: "BackendUnreachable"): 1_000_000,
                .init(status: .degraded, reason: String(repeating: "x", count: 200)): 999,
                .init(status: .dataLoss, reason: "B"): 5, .init(status: .dataLoss, reason: "A"): 5,
                .init(status: .degraded, reason: "A"): 5,
            ],
            placements: [
                PlacementCount(placement: .init(storageClass: "gold"), unhealthy: 1_200_000, volumes: 2_000_000),
                PlacementCount(placement: .init(storageClass: "silver"), unhealthy: 34_567, volumes: 18_000_000),
            ]
        )
        #expect(
            outage.summary(since: "T")
                == """
                1,234,567 of 20,000,000 volumes unhealthy since T: Inaccessible (BackendUnreachable) 1,000,000, \
                Degraded (\(String(repeating: "x", count: 64))) 999, DataLoss (A) 5, and 2 other reasons; \
                97 % have StorageClass gold
                """
        )
    }

    @Test(arguments: [
        (45, 0, "The outage lasted 45s; no volume is unhealthy"),
        (725, 1, "The outage lasted 12m; 1 of 2,000 volumes is still unhealthy"),
        (11_530, 3, "The outage lasted 3h12m; 3 of 2,000 volumes are still unhealthy"),
    ])
    func `the end says how long it lasted`(seconds: Int, unhealthy: Int, message: String) {
        #expect(
            OutageState.endedMessage(lasted: .seconds(seconds), unhealthy: unhealthy, volumes: 2000) == message
        )
    }
}
