// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Lists of ControllerListVolumeHealth, which leave out healthy volumes.
struct UnhealthyListTests {
    static let list = HealthState.SweepEnd.complete(.unhealthyVolumes, canConfirm: false)
    static let listAndGet = HealthState.SweepEnd.complete(.unhealthyVolumes, canConfirm: true)
    let claim = Claim.named("csi-pvc")
    var state = HealthState()

    @Test mutating func `a volume whose recovery waits to be reported counts as healthy`() {
        var random = SeededGenerator(seed: 1)
        state.bind(claim, handle: "h1")
        state.beginProbing(.whatListsLeaveOpen, interval: .seconds(60), at: .zero, using: &random)
        state.sweep([.abnormal("h1")], Self.listAndGet, at: .zero)
        _ = state.reportAll(at: .zero)
        state.sweep([], Self.listAndGet, at: .seconds(1))
        #expect(state.healthCounts == [.unhealthy: 1])
        state.receive(.report(.healthy("h1")), ofVolumeHandle: "h1", at: .seconds(2))
        #expect(state.healthCounts == [.healthy: 1])
        state.sweep([], Self.listAndGet, at: .seconds(3))
        #expect(state.healthCounts == [.healthy: 1])
        #expect(state.reportAll(at: .seconds(3)).map(\.state.isClear) == [true])
    }

    @Test(.tags(.rule4)) mutating func `a list that began before the volume was known does not count`() {
        state.beginSweep(at: .zero)
        state.bind(claim, handle: "h1")
        state.restore(
            reported: VolumeState.abnormal("broken").fingerprint,
            claimUID: claim.uid,
            key: claim.key,
            reportedAt: .zero,
            at: .zero
        )
        _ = state.endSweep(Self.list, at: .seconds(1))
        state.sweep([], Self.list, at: .seconds(2))
        #expect(state.reportAll(at: .seconds(2)).isEmpty)
        state.sweep([], Self.list, at: .seconds(3))
        #expect(state.reportAll(at: .seconds(3)).map(\.state.isClear) == [true])
    }

    // MARK: Missing volumes

    /// A driver with a list and a call, and this many volumes in use.
    private static func healthState(_ count: Int, isOfOtherNode: Bool = false) -> HealthState {
        var state = HealthState()
        for number in 0..<count {
            let claim = Claim.named("c\(number)")
            var volume = MonitoredVolume.of(claim, handle: "h\(number)")
            volume.isOfOtherNode = isOfOtherNode
            state.apply(volume, at: .zero)
            state.apply(claim, volumeName: volume.name, healthStatus: [], at: .zero)
        }
        var random = SeededGenerator(seed: 1)
        state.beginProbing(.whatListsLeaveOpen, interval: .seconds(60), at: .zero, using: &random)
        return state
    }

    private static let missing = ["h0", "h1"].map { VolumeState([.notFound(volumeHandle: $0)]).fingerprint }

    @Test(.tags(.rule5)) func `two of a thousand volumes that calls do not find are reported, not the driver`() {
        var state = Self.healthState(1000)
        state.sweep([.abnormal("h0"), .abnormal("h1")], Self.listAndGet, at: .zero)
        _ = state.reportAll(at: .zero)
        for time in [150, 225] {
            for handle in ["h0", "h1"] { state.receive(.notFound, ofVolumeHandle: handle, at: .seconds(time)) }
            #expect(state.absenceSuspicion == nil)
        }
        #expect(Set(state.reportAll(at: .seconds(225)).map(\.state.fingerprint)) == Set(Self.missing))
    }

    /// A node selector that names a zone counts as one of another node.
    @Test(.tags(.rule5)) func `a missing volume of a zone is reported`() {
        var state = Self.healthState(100, isOfOtherNode: true)
        state.sweep([.abnormal("h0"), .abnormal("h1")], Self.listAndGet, at: .zero)
        _ = state.reportAll(at: .zero)
        #expect(state.sweep([], Self.listAndGet, at: .seconds(300)) == ["h0", "h1"])
        for handle in ["h0", "h1"] { state.receive(.notFound, ofVolumeHandle: handle, at: .seconds(301)) }
        #expect(Set(state.reportAll(at: .seconds(301)).map(\.state.fingerprint)) == Set(Self.missing))
    }

    /// Then no list of this driver has found one of these volumes.
    @Test(.tags(.rule5)) func `a volume of a zone that is missing after an upgrade of the driver is reported`() {
        var state = Self.healthState(100, isOfOtherNode: true)
        state.sweep([.abnormal("h0"), .abnormal("h1")], Self.listAndGet, at: .zero)
        _ = state.reportAll(at: .zero)
        state.beginStrategy(writesStatus: true)
        // Only after the hold: none has been found.
        for time in [300, 600, 1000] {
            #expect(state.sweep([], Self.listAndGet, at: .seconds(time)) == ["h0", "h1"])
            for handle in ["h0", "h1"] { state.receive(.notFound, ofVolumeHandle: handle, at: .seconds(time + 1)) }
        }
        #expect(Set(state.reportAll(at: .seconds(1001)).map(\.state.fingerprint)) == Set(Self.missing))
    }

    @Test(.tags(.rule5)) func `a suspicion ends when the claims of the missing volumes are gone`() {
        var state = Self.healthState(100)
        let gone = (0..<8).map { "h\($0)" }
        state.sweep(gone.map { .abnormal($0) }, Self.listAndGet, at: .zero)
        _ = state.reportAll(at: .zero)
        for time in [300, 310] {
            state.sweep([], Self.listAndGet, at: .seconds(time))
            for handle in gone { state.receive(.notFound, ofVolumeHandle: handle, at: .seconds(time)) }
        }
        #expect(state.absenceSuspicion != nil)
        for number in 0..<8 {
            state.removeClaim(Claim.named("c\(number)").key, at: .seconds(320))
            state.removeVolume(named: "pv-c\(number)", at: .seconds(320))
        }
        state.sweep([], Self.listAndGet, at: .seconds(600))
        #expect(state.absenceSuspicion == nil)
        #expect(state.absences.isEmpty)
    }
}
