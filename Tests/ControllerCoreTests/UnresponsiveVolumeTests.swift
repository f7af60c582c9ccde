// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Events on claims for whose volumes the driver does not respond.
struct UnresponsiveVolumeTests {
    static let interval = Duration.seconds(60)
    let claims = [Claim.named("a"), .named("b"), .named("c")]
    var state = HealthState()
    var random = SeededGenerator(seed: 1)
    var now = Duration.zero
    /// What was reported: claim and whether it is unresponsive.
    var reported: [String] = []

    init() {
        for claim in claims { state.bind(claim, handle: claim.key.name) }
        begin()
    }

    private mutating func begin() {
        state.beginProbing(interval: Self.interval, at: now, using: &random)
    }

    /// Probes for this long, second by second.
    private mutating func run(for duration: Duration, _ result: (String) -> ProbeResult) {
        let end = now + duration
        while now < end {
            _ = state.completedRound(at: now)
            while case .run(let handle) = state.nextProbe(at: now) {
                state.receive(result(handle), ofVolumeHandle: handle, at: now)
            }
            report()
            now += .seconds(1)
        }
    }

    private mutating func report() {
        while case .run(let report) = state.nextResponseEvent(at: now) {
            if report.cause == .transition {
                reported.append("\(report.claim.key.name) \(report.state.isUnresponsive ? "unknown" : "known")")
            }
            state.complete(responseEvent: report, .reported, at: now)
        }
    }

    private static func failing(_ handles: String...) -> (String) -> ProbeResult {
        { handles.contains($0) ? .failed : .report(.healthy($0)) }
    }

    @Test mutating func `a claim is reported once after the limit, and once when the driver responds`() {
        run(for: .seconds(14 * 60), Self.failing("a"))
        #expect(reported.isEmpty)
        run(for: .seconds(180), Self.failing("a"))
        #expect(reported == ["a unknown"])
        run(for: .seconds(7200), Self.failing("a"))
        #expect(reported == ["a unknown"])
        run(for: .seconds(600), Self.failing())
        #expect(reported == ["a unknown", "a known"])
        #expect(state.healthCounts == [.healthy: 3])
    }

    @Test(arguments: [ProbeResult.notFound, .withoutHealth, .report(.abnormal("a"))])
    mutating func `any response ends the report`(result: ProbeResult) {
        run(for: .seconds(1200), Self.failing("a"))
        run(for: .seconds(600)) { $0 == "a" ? result : .report(.healthy($0)) }
        #expect(reported == ["a unknown", "a known"])
    }

    @Test mutating func `nothing is reported while the driver responds for no volume`() {
        run(for: .seconds(7200)) { _ in .failed }
        #expect(reported.isEmpty)
        run(for: .seconds(1200), Self.failing("b"))
        #expect(reported == ["b unknown"])
    }

    /// 100,000 volumes with 5,000 calls a minute: those that wait for their first call, or their second, are not reported.
    @Test mutating func `nothing is reported in the first rounds of a slow driver`() {
        for number in 0..<2000 { state.bind(.named("v\(number)"), handle: "v\(number)") }
        begin()
        while now < .seconds(3 * 2003) {
            _ = state.completedRound(at: now)
            if case .run(let handle) = state.nextProbe(at: now) {
                now += .seconds(1)
                state.receive(.report(.healthy(handle)), ofVolumeHandle: handle, at: now)
            } else {
                now += .seconds(1)
            }
            report()
        }
        #expect(reported.isEmpty)
        #expect(state.healthCounts == [.healthy: 2003])
    }

    /// The outage began while only some of the calls of an interval had been made: the others are called later.
    @Test mutating func `nothing is reported when the driver responds again to some earlier than to others`() {
        run(for: .seconds(90), Self.failing())
        run(for: .seconds(30)) { $0 == "a" ? .failed : .report(.healthy($0)) }
        run(for: .seconds(3600)) { _ in .failed }
        run(for: .seconds(1800), Self.failing())
        #expect(reported.isEmpty)
    }

    @Test mutating func `a volume whose last claim is gone is no longer probed`() {
        // Its next slot is up to seven intervals away.
        run(for: .seconds(1200), Self.failing("a"))
        state.removeClaim(claims[0].key, at: now)
        run(for: Self.interval + .seconds(1), Self.failing())
        #expect(state.probes?.contains("a") == false)
        #expect(state.probes?.count == 2)
    }

    /// The last responses are up to an interval old when the driver stops responding, and so is a volume that is new.
    @Test mutating func `nothing is reported when the driver stops responding`() {
        run(for: .seconds(90), Self.failing())
        run(for: .seconds(600)) { _ in .failed }
        state.bind(.named("d"), handle: "d", at: now)
        run(for: .seconds(7200)) { _ in .failed }
        #expect(reported.isEmpty)
    }

    @Test mutating func `the only volume is reported`() {
        state.removeClaim(claims[1].key, at: now)
        state.removeClaim(claims[2].key, at: now)
        run(for: .seconds(1200), Self.failing("a"))
        #expect(reported == ["a unknown"])
    }

    @Test mutating func `the limit is never less than five intervals`() {
        state.beginProbing(interval: .seconds(600), at: now, using: &random)
        run(for: .seconds(3000), Self.failing("a"))
        #expect(reported.isEmpty)
        run(for: .seconds(1800), Self.failing("a"))
        #expect(reported == ["a unknown"])
    }

    @Test mutating func `without the limit nothing is reported`() {
        state = HealthState(configuration: .init(unresponsiveAfter: nil))
        for claim in claims { state.bind(claim, handle: claim.key.name) }
        begin()
        run(for: .seconds(7200), Self.failing("a"))
        #expect(reported.isEmpty)
    }

    @Test mutating func `a claim that is gone is not reported again`() {
        run(for: .seconds(1200), Self.failing("a"))
        state.removeClaim(claims[0].key, at: now)
        run(for: .seconds(1200), Self.failing())
        #expect(reported == ["a unknown"])
        #expect(state.responses.isEmpty)
    }

    @Test(.tags(.rule9)) mutating func `a new leader ends what an earlier one reported, after a response`() {
        state.endTerm()
        state.beginTerm()
        for claim in claims.prefix(2) {
            state.restoreUnresponsive(claimUID: claim.uid, key: claim.key, reportedAt: now)
        }
        begin()
        run(for: .seconds(1200), Self.failing("a"))
        #expect(reported == ["b known"])
        run(for: .seconds(600), Self.failing())
        #expect(reported == ["b known", "a known"])
    }

    @Test mutating func `a driver that has a list of unhealthy volumes later has responded`() {
        run(for: .seconds(1200), Self.failing("a"))
        state.beginStrategy(writesStatus: true)
        state.sweep([], .complete(.unhealthyVolumes, canConfirm: true), at: now)
        report()
        #expect(reported == ["a unknown", "a known"])
    }

    /// A driver whose list has no conditions, which is tried again now and then.
    @Test mutating func `a list that cannot be used is no response`() {
        run(for: .seconds(1200), Self.failing("a"))
        state.beginSweep(at: now)
        for name in ["a", "b", "c"] { state.receive(listedWithoutHealth: name, at: now) }
        _ = state.endSweep(.complete(.everyVolume, canConfirm: true), at: now)
        report()
        #expect(state.listProblem == .noConditions)
        #expect(reported == ["a unknown"])
    }

    @Test mutating func `a driver that has a list later has responded`() {
        run(for: .seconds(1200), Self.failing("a"))
        state.beginStrategy(writesStatus: true)
        state.beginSweep(at: now)
        for name in ["a", "b", "c"] { state.receive(.healthy(name), at: now) }
        _ = state.endSweep(.complete(.everyVolume, canConfirm: false), at: now)
        report()
        #expect(reported == ["a unknown", "a known"])
    }
}
