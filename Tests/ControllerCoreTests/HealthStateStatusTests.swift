// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

/// What is written to `status.healthStatus`, and what a new leader reads back.
struct HealthStateStatusTests {
    let claim = Claim.named("csi-pvc")
    let legacy = VolumeHealthCondition(abnormalMessage: "broken")
    var healthState = HealthState()

    init() {
        healthState.bind(claim, handle: "h1")
    }

    @Test(.tags(.rule7)) mutating func `a legacy condition is written as Degraded`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        let written = healthState.writeAll(at: .zero)
        #expect(
            written.map(\.state.conditions) == [
                [VolumeHealthCondition(status: .degraded, reason: "VolumeConditionAbnormal", message: "broken")]
            ]
        )
    }

    @Test(.tags(.rule12)) mutating func `an unchanged status is not written again`() {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        for second in 0..<10_000 where second.isMultiple(of: 500) {
            healthState.sweep([.abnormal("h1")], at: .seconds(second))
            #expect(healthState.writeAll(at: .seconds(second)).isEmpty)
        }
    }

    @Test(.tags(.rule9)) mutating func `a status written by an earlier process is cleared when the volume is healthy`()
    {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        #expect(healthState.writeAll(at: .zero).isEmpty)
        healthState.sweep([.healthy("h1")], at: .zero)
        #expect(healthState.writeAll(at: .zero).map(\.state.isClear) == [true])
    }

    /// A ClusterRole written for external-health-monitor 0.18 lacks the rule.
    @Test mutating func `a status that RBAC forbids does not count in the backlog`() throws {
        healthState.sweep([.abnormal("h1")], at: .zero)
        #expect(healthState.statusBacklog.depth == 1)
        var now = Duration.zero
        for _ in 0..<2 {
            let status = try #require(healthState.nextStatus(at: now).job)
            healthState.complete(status: status, .failed(RequestFailure(isForbidden: true)), at: now)
            #expect(healthState.statusBacklog.depth == 0)
            #expect(!healthState.isStatusSupported)
            now += .seconds(60)
        }
        let status = try #require(healthState.nextStatus(at: now).job)
        healthState.complete(status: status, .reported, at: now)
        #expect(healthState.isStatusSupported)
    }

    /// The response to a write may be ahead of the watch, which then delivers an older version.
    @Test mutating func `an older version of a claim that the watch delivers late changes nothing`() {
        var old = claim
        old.resourceVersion = "4"
        var written = claim
        written.resourceVersion = "5"
        healthState.sweep([.abnormal("h1", "broken")], at: .zero)
        _ = healthState.writeAll(at: .zero)
        healthState.written(written, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.apply(old, volumeName: "pv-csi-pvc", at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).isEmpty)
        // After the API server was restored from a backup, the listed version is the current one.
        healthState.beginClaimRelist()
        healthState.apply(old, volumeName: "pv-csi-pvc", at: .seconds(2))
        healthState.endClaimRelist(at: .seconds(2))
        #expect(healthState.writeAll(at: .seconds(2)).map(\.claim.resourceVersion) == ["4"])
    }

    @Test(.tags(.rule6)) mutating func `a new message is written later and is not a transition`() {
        healthState.sweep([.abnormal("h1", "one")], at: .zero)
        _ = healthState.writeAll(at: .zero)
        healthState.sweep([.abnormal("h1", "two")], at: .seconds(60))
        #expect(healthState.writeAll(at: .seconds(60)).isEmpty)
        let written = healthState.writeAll(at: .seconds(600))
        #expect(written.map(\.cause) == [.refresh])
        #expect(written.map(\.since) == [.zero])
    }

    /// The change arrives between the write and its response.
    @Test mutating func `a status that another client removes during a write is written again`() throws {
        healthState.sweep([.abnormal("h1")], at: .zero)
        let pendingReport = try #require(healthState.nextStatus(at: .zero).job)
        var ours = claim
        ours.resourceVersion = "10"
        var theirs = claim
        theirs.resourceVersion = "11"
        healthState.apply(ours, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.apply(theirs, volumeName: "pv-csi-pvc", healthStatus: [], at: .zero)
        healthState.written(ours, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.complete(status: pendingReport, .reported, at: .zero)
        #expect(healthState.writeAll(at: .zero).count == 1)
    }

    /// As with an admission policy that drops what it does not know.
    @Test mutating func `a status that the API server shows otherwise than it was written is repeated with back-off`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        var writes: [Duration] = []
        for second in 0..<60 {
            let now = Duration.seconds(second)
            while writes.count < 100, let pendingReport = healthState.nextStatus(at: now).job {
                writes.append(now)
                var changed = claim
                changed.resourceVersion = "\(10 + writes.count)"
                healthState.written(changed, volumeName: "pv-csi-pvc", healthStatus: [], at: now)
                healthState.complete(status: pendingReport, .reported, at: now)
            }
        }
        // Another client may have changed the first one.
        #expect(writes.prefix(2) == [.zero, .zero])
        #expect((4...10).contains(writes.count))
        #expect(Set(writes).count == writes.count - 1)
    }

    /// An older change arrives between the write and its response.
    @Test mutating func `a watch that lags behind a write does not cause a second write`() throws {
        healthState.sweep([.abnormal("h1")], at: .zero)
        let pendingReport = try #require(healthState.nextStatus(at: .zero).job)
        var earlier = claim
        earlier.resourceVersion = "9"
        var ours = claim
        ours.resourceVersion = "10"
        healthState.apply(earlier, volumeName: "pv-csi-pvc", healthStatus: [], at: .zero)
        healthState.written(ours, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.complete(status: pendingReport, .reported, at: .zero)
        #expect(healthState.writeAll(at: .zero).isEmpty)
    }

    @Test mutating func `a status that another client removes is written again`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.writeAll(at: .zero)
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        #expect(healthState.writeAll(at: .zero).isEmpty)
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [], at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).count == 1)
    }

    @Test mutating func `without legacy status, nothing is written and an existing status is cleared`() {
        healthState.beginStrategy(writesStatus: false)
        healthState.sweep([.abnormal("h1")], at: .zero)
        #expect(healthState.writeAll(at: .zero).isEmpty)
        #expect(healthState.reportAll(at: .zero).count == 1)

        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .seconds(1))
        healthState.sweep([.abnormal("h1")], at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).map(\.state.isClear) == [true])
    }

    @Test(.tags(.rule11)) mutating func `the status is cleared when the volume is deleted and the claim remains`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.writeAll(at: .zero)
        _ = healthState.reportAll(at: .zero)
        healthState.removeVolume(named: "pv-csi-pvc", at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).map(\.state.isClear) == [true])
        // The volume has not recovered, so no recovery is reported.
        #expect(healthState.reportAll(at: .seconds(1)).isEmpty)
    }

    @Test(.tags(.rule11)) mutating func `the status is cleared when the volume is released`() {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        var released = MonitoredVolume.of(claim, handle: "h1")
        released.isBound = false
        healthState.apply(released, at: .zero)
        #expect(healthState.writeAll(at: .zero).map(\.state.isClear) == [true])
    }

    @Test(.tags(.rule11)) mutating func `the status of a recreated claim is not cleared`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.writeAll(at: .zero)
        healthState.apply(Claim.named("csi-pvc", uid: "recreated"), volumeName: "", at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).isEmpty)
        healthState.sweep([.abnormal("h1")], at: .seconds(2))
        #expect(healthState.writeAll(at: .seconds(2)).isEmpty)
    }

    @Test(.tags(.rule11)) mutating func `a relist without the volume clears its claim's status`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.writeAll(at: .zero)
        healthState.beginVolumeRelist()
        #expect(healthState.writeAll(at: .zero).isEmpty)
        healthState.endVolumeRelist(at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).map(\.state.isClear) == [true])
    }

    @Test mutating func `a written status is known before the watch delivers it`() throws {
        healthState.sweep([.abnormal("h1")], at: .zero)
        let status = try #require(healthState.nextStatus(at: .zero).job)
        var written = claim
        written.resourceVersion = "2"
        healthState.written(written, volumeName: "pv-csi-pvc", healthStatus: status.state.conditions, at: .zero)
        healthState.complete(status: status, .reported, at: .zero)
        healthState.sweep([.healthy("h1")], at: .seconds(1))
        #expect(healthState.writeAll(at: .seconds(1)).map(\.claim.resourceVersion) == ["2"])
    }

    @Test mutating func `a write does not bring back a deleted claim`() {
        healthState.removeClaim(claim.key, at: .zero)
        healthState.written(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        #expect(healthState.claim(at: claim.key) == nil)
    }

    @Test(.tags(.rule9)) mutating func `a lasting condition that an earlier process reported is not reported again`() {
        healthState.restore(
            reported: VolumeState.abnormal("").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            reportedAt: .seconds(-60),
            at: .zero
        )
        #expect(healthState.reportAll(at: .zero).isEmpty)
        healthState.sweep([.abnormal("h1")], at: .zero)
        #expect(healthState.reportAll(at: .zero).isEmpty)
        #expect(healthState.reportAll(at: .seconds(1740)).map(\.cause) == [.refresh])
    }

    @Test(.tags(.rule9)) mutating func `a report on an earlier claim of the same name is ignored`() {
        healthState.restore(
            reported: VolumeState.abnormal("").fingerprint,
            claimUID: "of an earlier claim",
            key: claim.key,
            reportedAt: .zero,
            at: .zero
        )
        healthState.sweep([.healthy("h1")], at: .zero)
        #expect(healthState.reportAll(at: .zero).isEmpty)
    }

    @Test(.tags(.rule9)) mutating func `an unknown condition that an earlier process reported is not reported again`() {
        let unknown = UnknownCondition(type: 9, reason: "New", message: "m")
        let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [unknown])
        healthState.restore(
            reportedUnknown: unknown.fingerprint,
            claimUID: claim.uid,
            key: claim.key
        )
        healthState.sweep([report], at: .zero)
        #expect(healthState.reportUnknowns(at: .zero).isEmpty)
    }

    @Test(.tags(.rule6)) mutating func `unknown conditions are reported once for each type and reason`() {
        let first = UnknownCondition(type: 9, reason: "New", message: "m")
        let second = UnknownCondition(type: 9, reason: "Newer", message: "m")
        for seconds in 0..<3 {
            for condition in [first, second] {
                let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [condition])
                healthState.sweep([report], at: .seconds(seconds))
            }
        }
        #expect(healthState.reportUnknowns(at: .seconds(3)) == [first, second])
        #expect(healthState.healthCounts == [.unknown: 1])
    }

    @Test(.tags(.rule11)) mutating func `an unknown condition of a deleted volume is not reported`() {
        let unknown = UnknownCondition(type: 9, reason: "New", message: "m")
        healthState.sweep(
            [VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [unknown])],
            at: .zero
        )
        healthState.removeVolume(named: "pv-csi-pvc", at: .zero)
        #expect(healthState.reportUnknowns(at: .zero).isEmpty)
        #expect(healthState.unknowns.isEmpty)
    }

    @Test(.tags(.rule6)) mutating func `an unknown condition does not count as healthy`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        _ = healthState.reportAll(at: .zero)
        let unknown = UnknownCondition(type: 0, reason: "", message: "")
        let report = VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [unknown])
        healthState.sweep([.healthy("h1"), report], at: .seconds(1))
        healthState.sweep([report, .healthy("h1")], at: .seconds(2))
        #expect(healthState.reportAll(at: .seconds(2)).isEmpty)
        #expect(healthState.healthCounts == [.unhealthy: 1])
    }

    @Test mutating func `unhealthy volumes are known by claim`() {
        healthState.sweep([.abnormal("h1")], at: .zero)
        #expect(healthState.unhealthyStates(of: healthState.unhealthyClaims).map(\.claim) == [claim])
        healthState.removeClaim(claim.key, at: .zero)
        #expect(healthState.unhealthyClaims.isEmpty)
    }

    @Test(.tags(.rule11)) mutating func `a pending status of a deleted claim does not delay others`() throws {
        let other = Claim.named("other")
        healthState.bind(other, handle: "h2")
        healthState.sweep([.abnormal("h1"), .abnormal("h2")], at: .zero)
        // The volume's event arrives before the claim's: these are two watches.
        healthState.removeVolume(named: "pv-csi-pvc", at: .zero)
        healthState.removeClaim(claim.key, at: .zero)
        #expect(healthState.statusBacklog.depth == 1)
        let status = try #require(healthState.nextStatus(at: .zero).job)
        healthState.complete(status: status, .unreachable, at: .zero)
        #expect(healthState.writeAll(at: .seconds(300)).map(\.claim) == [other])
    }

    @Test(.tags(.rule9)) mutating func `a status without an event counts as reported`() {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.restoreFromStatuses(except: [], at: .zero)
        healthState.sweep([.healthy("h1")], at: .zero)
        #expect(healthState.reportAll(at: .zero).map(\.state.isClear) == [true])
    }

    @Test(.tags(.rule9)) mutating func `a lasting status without an event is reported as a refresh`() {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.restoreFromStatuses(except: [], at: .zero)
        healthState.sweep([.abnormal("h1")], at: .zero)
        #expect(healthState.reportAll(at: .zero).map(\.cause) == [.refresh])
    }

    @Test(.tags(.rule9)) mutating func `events take precedence over the status`() {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.restoreFromStatuses(except: [claim.uid], at: .zero)
        healthState.sweep([.healthy("h1")], at: .zero)
        #expect(healthState.reportAll(at: .zero).isEmpty)
    }

    @Test(.tags(.rule9)) mutating func `a status whose volume was deleted while no process watched is cleared`() {
        healthState.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        healthState.removeVolume(named: "pv-csi-pvc", at: .zero)
        var fresh = HealthState()
        fresh.apply(claim, volumeName: "pv-csi-pvc", healthStatus: [legacy], at: .zero)
        fresh.restore(
            reported: VolumeState.abnormal("").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            reportedAt: .zero,
            at: .zero
        )
        #expect(fresh.writeAll(at: .zero).map(\.state.isClear) == [true])
        #expect(fresh.reportAll(at: .zero).isEmpty)
    }

    @Test mutating func `at most 16 unknown conditions of a volume are reported`() {
        for number in 0..<100 {
            let unknown = UnknownCondition(type: 9, reason: "\(number)", message: "")
            healthState.sweep(
                [VolumeHealthReport(volumeHandle: "h1", conditions: [], unknownConditions: [unknown])],
                at: .seconds(number)
            )
        }
        #expect(healthState.reportUnknowns(at: .seconds(100)).count == 16)
    }
}
