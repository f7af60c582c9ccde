// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

/// Rules 4 and 5: volumes that the driver does not list or does not find.
struct HealthStateAbsenceTests {
    let claim = Claim.named("csi-pvc")
    var healthState = HealthState()

    static let everyVolume = HealthState.SweepEnd.complete(.everyVolume, canConfirm: false)
    static let everyVolumeAndGet = HealthState.SweepEnd.complete(.everyVolume, canConfirm: true)
    static let unhealthy = HealthState.SweepEnd.complete(.unhealthyVolumes, canConfirm: false)
    static let unhealthyAndGet = HealthState.SweepEnd.complete(.unhealthyVolumes, canConfirm: true)

    init() {
        healthState.bind(claim, handle: "h1")
    }

    func reasons(_ reported: [PendingReport<ClaimNumber, VolumeState, Claim>]) -> [[String]] {
        reported.map { $0.state.conditions.map(\.reason) }
    }

    // MARK: Lists of every volume

    @Test(.tags(.rule4)) mutating func `a volume missing from two complete lists is reported`() {
        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        healthState.sweep([], Self.everyVolume, at: .seconds(300))
        #expect(healthState.reportAll(at: .seconds(300)).isEmpty)

        healthState.sweep([], Self.everyVolume, at: .seconds(600))
        let reported = healthState.reportAll(at: .seconds(600))
        #expect(reasons(reported) == [["VolumeNotFound"]])
        #expect(reported.first?.state.conditions.first?.status == .inaccessible)
        #expect(reported.first?.state.conditions.first?.message.contains("h1") == true)

        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .seconds(900))
        #expect(reasons(healthState.reportAll(at: .seconds(900))) == [[]])
    }

    /// The condition's type is one of a later CSI version.
    @Test(arguments: [true, false])
    mutating func `a missing volume that returns with an unknown condition is not missing any more`(isListed: Bool) {
        let strange = UnknownCondition(type: 9, reason: "Odd", message: "m")
        let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [strange])
        for second in [0, 300, 600] {
            healthState.sweep(second == 0 ? [.healthy("h1")] : [], Self.everyVolume, at: .seconds(second))
        }
        #expect(reasons(healthState.reportAll(at: .seconds(600))) == [["VolumeNotFound"]])
        if isListed {
            healthState.sweep([report], Self.everyVolume, at: .seconds(900))
        } else {
            healthState.receive(.report(report), ofVolumeHandle: "h1", at: .seconds(900))
        }
        #expect(reasons(healthState.reportAll(at: .seconds(900))) == [[]])
        #expect(healthState.health(ofVolumeHandle: "h1") == .unknown)
    }

    @Test(.tags(.rule4)) mutating func `only consecutive lists count`() {
        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...10 {
            healthState.sweep(second.isMultiple(of: 2) ? [.healthy("h1")] : [], Self.everyVolume, at: .seconds(second))
        }
        #expect(healthState.reportAll(at: .seconds(10)).isEmpty)
    }

    @Test(.tags(.rule2)) mutating func `an incomplete list does not count as an absence`() {
        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...5 { healthState.sweep([], .incomplete, at: .seconds(second)) }
        #expect(healthState.reportAll(at: .seconds(5)).isEmpty)
        // An incomplete list between two complete ones does not restart the count.
        healthState.sweep([], Self.everyVolume, at: .seconds(6))
        healthState.sweep([], .incomplete, at: .seconds(7))
        healthState.sweep([], Self.everyVolume, at: .seconds(8))
        #expect(reasons(healthState.reportAll(at: .seconds(8))) == [["VolumeNotFound"]])
    }

    /// A change of leader must not hide a lost volume.
    @Test mutating func `a volume that no list of this process had is confirmed by a call`() {
        #expect(healthState.sweep([], Self.everyVolumeAndGet, at: .zero) == ["h1"])
        healthState.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(1))
        #expect(healthState.reportAll(at: .seconds(1)).isEmpty)
        #expect(healthState.sweep([], Self.everyVolumeAndGet, at: .seconds(300)) == ["h1"])
        healthState.receive(.notFound, ofVolumeHandle: "h1", at: .seconds(301))
        #expect(reasons(healthState.reportAll(at: .seconds(301))) == [["VolumeNotFound"]])
    }

    /// Some drivers truncate their lists.
    @Test mutating func `without a confirming call, a volume that was never listed is reported after the hold`() {
        for second in stride(from: 0, to: 600, by: 60) {
            healthState.sweep([], Self.everyVolume, at: .seconds(second))
            #expect(healthState.reportAll(at: .seconds(second)).isEmpty)
        }
        healthState.sweep([], Self.everyVolume, at: .seconds(600))
        #expect(reasons(healthState.reportAll(at: .seconds(600))) == [["VolumeNotFound"]])
    }

    @Test mutating func `a volume that appeared during a list is not absent`() {
        healthState.bind(Claim.named("other"), handle: "h2")
        healthState.beginSweep(at: .zero)
        healthState.receive(.healthy("h2"), at: .zero)
        healthState.bind(Claim.named("new"), handle: "h3")
        #expect(healthState.endSweep(Self.everyVolumeAndGet, at: .seconds(1)) == ["h1"])
        #expect(healthState.sweep([.healthy("h2")], Self.everyVolumeAndGet, at: .seconds(300)) == ["h1", "h3"])
    }

    @Test(.tags(.rule4)) mutating func `where the driver can get a volume, one call confirms its absence`() {
        healthState.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .zero)
        #expect(healthState.sweep([], Self.everyVolumeAndGet, at: .seconds(1)) == ["h1"])
        #expect(healthState.reportAll(at: .seconds(1)).isEmpty)
        healthState.receive(.notFound, ofVolumeHandle: "h1", at: .seconds(2))
        #expect(reasons(healthState.reportAll(at: .seconds(2))) == [["VolumeNotFound"]])
    }

    @Test(
        .tags(.rule4),
        arguments: [
            ProbeResult.report(.healthy("h1")), .withoutHealth, .failed, .interrupted,
        ]
    )
    mutating func `only NOT_FOUND confirms an absence`(result: ProbeResult) {
        healthState.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .zero)
        healthState.sweep([], Self.everyVolumeAndGet, at: .seconds(1))
        healthState.receive(result, ofVolumeHandle: "h1", at: .seconds(2))
        #expect(healthState.reportAll(at: .seconds(2)).isEmpty)
    }

    @Test(.tags(.rule4)) mutating func `the health in the confirming reply is reported`() {
        healthState.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .zero)
        healthState.sweep([], Self.everyVolumeAndGet, at: .seconds(1))
        healthState.receive(.report(.abnormal("h1")), ofVolumeHandle: "h1", at: .seconds(2))
        #expect(reasons(healthState.reportAll(at: .seconds(2))) == [["VolumeConditionAbnormal"]])
    }

    @Test(.tags(.rule5)) mutating func `missing volumes are not reported where that is disabled`() {
        healthState = HealthState(configuration: .init(reportsMissingVolumes: false))
        healthState.bind(claim, handle: "h1")
        healthState.sweep([.abnormal("h1")], Self.everyVolume, at: .zero)
        _ = healthState.reportAll(at: .zero)
        for second in 1...3 { healthState.sweep([], Self.everyVolume, at: .seconds(second)) }
        healthState.sweep([], Self.everyVolumeAndGet, at: .seconds(4))
        healthState.receive(.notFound, ofVolumeHandle: "h1", at: .seconds(4))
        // The volume is neither missing nor recovered.
        #expect(healthState.reportAll(at: .seconds(4)).isEmpty)
    }

    @Test(.tags(.rule11)) mutating func `a missing volume without a claim is not probed`() {
        healthState.apply(
            MonitoredVolume(name: "free", handle: "h2", claim: nil, claimUID: "", isBound: false),
            at: .zero
        )
        healthState.sweep([.healthy("h1"), .healthy("h2")], Self.everyVolumeAndGet, at: .zero)
        #expect(healthState.sweep([.healthy("h1")], Self.everyVolumeAndGet, at: .seconds(1)).isEmpty)
    }

    @Test mutating func `a new probe strategy starts without absences`() {
        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        healthState.sweep([], Self.everyVolume, at: .seconds(1))
        healthState.beginStrategy(writesStatus: true)
        healthState.sweep([], Self.everyVolume, at: .seconds(2))
        healthState.sweep([], Self.everyVolume, at: .seconds(3))
        #expect(healthState.reportAll(at: .seconds(3)).isEmpty)
    }

    // MARK: Lists of unhealthy volumes

    @Test(.tags(.rule4)) mutating func `a volume left out of the list is probed before it counts as recovered`() {
        healthState.sweep([.abnormal("h1")], Self.unhealthyAndGet, at: .zero)
        _ = healthState.reportAll(at: .zero)
        #expect(healthState.sweep([], Self.unhealthyAndGet, at: .seconds(1)) == ["h1"])
        #expect(healthState.reportAll(at: .seconds(1)).isEmpty)

        healthState.receive(.failed, ofVolumeHandle: "h1", at: .seconds(2))
        #expect(healthState.reportAll(at: .seconds(2)).isEmpty)
        healthState.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(3))
        #expect(reasons(healthState.reportAll(at: .seconds(3))) == [[]])
        // The recovered volume is not confirmed again.
        #expect(healthState.sweep([], Self.unhealthyAndGet, at: .seconds(4)).isEmpty)
    }

    @Test(.tags(.rule4)) mutating func `without a confirming call, two consecutive lists clear a condition`() {
        healthState.sweep([.abnormal("h1")], Self.unhealthy, at: .zero)
        _ = healthState.reportAll(at: .zero)
        healthState.sweep([], Self.unhealthy, at: .seconds(1))
        healthState.sweep([.abnormal("h1")], Self.unhealthy, at: .seconds(2))
        healthState.sweep([], Self.unhealthy, at: .seconds(3))
        #expect(healthState.reportAll(at: .seconds(3)).isEmpty)
        healthState.sweep([], Self.unhealthy, at: .seconds(4))
        #expect(reasons(healthState.reportAll(at: .seconds(4))) == [[]])
    }

    @Test mutating func `volumes left out of a list of unhealthy volumes are healthy`() {
        healthState.bind(Claim.named("other"), handle: "h2")
        healthState.sweep([.abnormal("h2")], Self.unhealthyAndGet, at: .zero)
        #expect(healthState.healthCounts == [.healthy: 1, .unhealthy: 1])
        #expect(healthState.reportAll(at: .zero).count == 1)
    }

    @Test(.tags(.rule9))
    mutating func `a condition reported by an earlier process is confirmed when the list leaves the volume out`() {
        let reported = VolumeState.abnormal("broken").fingerprint
        healthState.restore(reported: reported, claimUID: claim.uid, key: claim.key, reportedAt: .zero, at: .zero)
        #expect(healthState.sweep([], Self.unhealthyAndGet, at: .zero) == ["h1"])
        healthState.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(1))
        #expect(reasons(healthState.reportAll(at: .seconds(1))) == [[]])
    }

    @Test(.tags(.rule1)) mutating func `a volume whose absence is not confirmed does not count as healthy`() {
        healthState.restore(
            reported: VolumeState.abnormal("broken").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            reportedAt: .zero,
            at: .zero
        )
        healthState.sweep([], Self.unhealthyAndGet, at: .zero)
        healthState.receive(.failed, ofVolumeHandle: "h1", at: .zero)
        #expect(healthState.healthCounts == [.unknown: 1])
    }

    @Test(.tags(.rule5)) mutating func `a volume in an incomplete list is not missing`() {
        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...2 { healthState.sweep([], Self.everyVolume, at: .seconds(second)) }
        #expect(reasons(healthState.reportAll(at: .seconds(2))) == [["VolumeNotFound"]])
        healthState.sweep([.abnormal("h1")], .incomplete, at: .seconds(3))
        #expect(reasons(healthState.reportAll(at: .seconds(3))) == [["VolumeConditionAbnormal"]])
    }

    @Test(.tags(.rule5))
    mutating func `a volume that is found again is no longer missing, even if its health is unknown`() {
        healthState.sweep([.healthy("h1")], Self.everyVolume, at: .zero)
        for second in 1...2 { healthState.sweep([], Self.everyVolume, at: .seconds(second)) }
        #expect(reasons(healthState.reportAll(at: .seconds(2))) == [["VolumeNotFound"]])
        healthState.beginSweep(at: .seconds(3))
        healthState.receive(listedWithoutHealth: "h1", at: .seconds(3))
        _ = healthState.endSweep(Self.everyVolume, at: .seconds(3))
        #expect(reasons(healthState.reportAll(at: .seconds(3))) == [[]])
        #expect(healthState.healthCounts == [.unknown: 1])
    }
}
