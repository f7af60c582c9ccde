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
    var state: HealthState

    init() {
        state = Self.state()
    }

    static func state() -> HealthState {
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

    static func condition(
        _ status: VolumeHealthCondition.Status,
        _ reason: String = "R"
    ) -> VolumeHealthCondition {
        VolumeHealthCondition(status: status, reason: reason, message: "m")
    }

    /// The reports of a list in which these volumes are unhealthy.
    static func reports(
        _ unhealthy: some Collection<Int>,
        _ condition: VolumeHealthCondition = condition(.inaccessible)
    ) -> [VolumeHealthReport] {
        (0..<volumes).map { number in
            VolumeHealthReport(volumeHandle: "h\(number)", conditions: unhealthy.contains(number) ? [condition] : [])
        }
    }

    /// Completes every event on the driver that is due now, and returns the states.
    static func reportOutages(
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

    mutating func reportOutages(at now: Duration) -> [OutageState] { Self.reportOutages(&state, at: now) }

    static func outage(_ states: [OutageState]) throws -> DriverOutage {
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
        #expect(state.nextEvent(at: .seconds(9)) == .wait(until: .seconds(12)))
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

    /// As behind an admission webhook of the namespace `default`.
    @Test mutating func `events on claims wait for a request that hangs for two seconds at most`() {
        state.sweep(Self.reports(0..<12), at: .zero)
        #expect(state.nextOutageEvent(at: .seconds(1)).job != nil)
        #expect(state.nextEvent(at: .seconds(1)) == .wait(until: .seconds(3)))
        #expect(state.reportAll(at: .seconds(2)).isEmpty)
        #expect(state.reportAll(at: .seconds(3)).count == 12)
    }

    @Test mutating func `events on claims wait twelve seconds at most for an event on the driver that is not sent`() {
        state.sweep(Self.reports(0..<12), at: .zero)
        #expect(state.reportAll(at: .seconds(11)).isEmpty)
        #expect(state.reportAll(at: .seconds(12)).count == 12)
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

    static var random: SeededGenerator {
        get { SeededGenerator(seed: 1) }
        // Each schedule begins with the same generator.
        set {}
    }

    mutating func probe(_ number: Int, _ conditions: [VolumeHealthCondition], at now: Duration) {
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
