// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import LeaderElection

struct LeaderElectionHealthTests {
    let clock: ManualClock
    let health: LeaderElectionHealth<ManualClock>

    init() {
        clock = ManualClock()
        health = LeaderElectionHealth(leaseDuration: .seconds(15), clock: clock)
    }

    @Test func `a standby is healthy for ever`() {
        clock.advance(by: .seconds(86_400))
        #expect(health.failure() == nil)
        #expect(!health.isLeader)
    }

    @Test func `a leader is healthy while its renewal is younger than lease and grace`() {
        health.leads(since: clock.now)
        #expect(health.isLeader)
        clock.advance(by: .seconds(35))
        #expect(health.failure() == nil)
        clock.advance(by: .seconds(1))
        #expect(health.failure()?.contains("last renewal 36.0 seconds ago, limit 35.0 seconds") == true)
        health.leads(since: clock.now)
        #expect(health.failure() == nil)
    }

    @Test func `whoever stepped down is a standby`() {
        health.leads(since: clock.now)
        clock.advance(by: .seconds(100))
        health.leads(since: nil)
        #expect(health.failure() == nil)
    }
}
