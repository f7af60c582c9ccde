// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Volumes probed one by one.
struct HealthStateProbeTests {
    let claim = Claim.named("csi-pvc")
    var healthState = HealthState()
    var random = SeededGenerator(seed: 1)
    static let interval = Duration.seconds(60)

    init() {
        healthState.bind(claim, handle: "h1")
        healthState.beginProbing(interval: Self.interval, at: .zero, using: &random)
    }

    /// The next volume to probe, and when it is due.
    mutating func due() -> (handle: String, at: Duration)? {
        var now = Duration.zero
        while now < Self.interval * 10 {
            switch healthState.nextProbe(at: now) {
            case .run(let handle): return (handle, now)
            case .wait(let until?): now = until
            case .wait(nil): return nil
            }
        }
        return nil
    }

    @Test(.tags(.rule3)) mutating func `an explicitly healthy reply clears the condition at once`() throws {
        let (handle, now) = try #require(due())
        healthState.receive(.report(.abnormal(handle)), ofVolumeHandle: handle, at: now)
        #expect(healthState.reportAll(at: now).count == 1)
        healthState.receive(.report(.healthy(handle)), ofVolumeHandle: handle, at: now)
        #expect(healthState.reportAll(at: now).map(\.state.isClear) == [true])
    }

    @Test(.tags(.rule1), arguments: [ProbeResult.failed, .interrupted, .withoutHealth])
    mutating func `a failed call changes nothing`(result: ProbeResult) throws {
        let (handle, now) = try #require(due())
        healthState.receive(.report(.abnormal(handle)), ofVolumeHandle: handle, at: now)
        _ = healthState.reportAll(at: now)
        healthState.receive(result, ofVolumeHandle: handle, at: now)
        #expect(healthState.reportAll(at: now).isEmpty)
        #expect(healthState.healthCounts == [.unhealthy: 1])
    }

    @Test(.tags(.rule5)) mutating func `NOT_FOUND is confirmed by a second call five seconds later`() throws {
        let (handle, first) = try #require(due())
        healthState.receive(.notFound, ofVolumeHandle: handle, at: first)
        #expect(healthState.reportAll(at: first).isEmpty)
        #expect(healthState.nextProbe(at: first) == .wait(until: first + .seconds(5)))

        let second = first + .seconds(5)
        #expect(healthState.nextProbe(at: second) == .run(handle))
        healthState.receive(.notFound, ofVolumeHandle: handle, at: second)
        let reported = healthState.reportAll(at: second)
        #expect(reported.map { $0.state.conditions.map(\.reason) } == [["VolumeNotFound"]])
        // After that, the volume is probed at its normal interval.
        #expect(healthState.nextProbe(at: second) == .wait(until: first + Self.interval))
    }

    @Test(.tags(.rule5)) mutating func `a volume found by a later call is not missing`() throws {
        let (handle, now) = try #require(due())
        for result in [ProbeResult.notFound, .report(.healthy(handle)), .notFound, .withoutHealth, .notFound] {
            healthState.receive(result, ofVolumeHandle: handle, at: now)
        }
        #expect(healthState.reportAll(at: now).isEmpty)
    }

    @Test mutating func `a new volume is probed at once`() {
        let now = Duration.seconds(7)
        // The volume and its claim may arrive in either order.
        let other = Claim.named("other")
        healthState.apply(other, volumeName: "pv-other", at: now)
        healthState.apply(.of(other, handle: "new"), at: now)
        let third = Claim.named("third")
        healthState.apply(.of(third, handle: "newer"), at: now)
        healthState.apply(third, volumeName: "pv-third", at: now)
        var probed: Set<String> = []
        for step in 0..<5 {
            if case .run(let handle) = healthState.nextProbe(at: now + .milliseconds(100 * step)) {
                probed.insert(handle)
            }
        }
        #expect(probed.isSuperset(of: ["new", "newer"]))
    }

    @Test mutating func `a volume without a claim is not probed`() {
        healthState.removeClaim(claim.key, at: .zero)
        #expect(due() == nil)
        healthState.apply(claim, volumeName: "pv-csi-pvc", at: .seconds(100))
        #expect(healthState.nextProbe(at: .seconds(100)) == .run("h1"))
    }

    @Test(.tags(.rule6)) mutating func `a reply with only unknown conditions clears nothing`() throws {
        let (handle, now) = try #require(due())
        healthState.receive(.report(.abnormal(handle)), ofVolumeHandle: handle, at: now)
        _ = healthState.reportAll(at: now)
        let strange = UnknownCondition(type: 9, reason: "New", message: "m")
        let report = VolumeHealthReport(volumeHandle: handle, conditions: [], unknownConditions: [strange])
        for _ in 0..<3 { healthState.receive(.report(report), ofVolumeHandle: handle, at: now) }
        #expect(healthState.reportAll(at: now).isEmpty)
        #expect(healthState.reportUnknowns(at: now) == [strange])
    }
}
