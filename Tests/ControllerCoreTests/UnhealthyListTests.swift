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
}
