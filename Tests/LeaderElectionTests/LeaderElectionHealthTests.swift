// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Synchronization
import Testing

@testable import LeaderElection

struct LeaderElectionHealthTests {
    let clock: ManualClock
    let health: LeaderElectionHealth

    init() {
        clock = ManualClock()
        health = LeaderElectionHealth(leaseDuration: .seconds(15), clock: clock)
    }

    @Test func `a standby is always healthy`() {
        clock.advance(by: .seconds(86_400))
        #expect(health.failure() == nil)
        #expect(health.lastRenewal.withLock { $0 } == nil)
    }

    @Test func `a leader is healthy until its last renewal is older than lease duration plus grace period`() {
        health.renewed(ago: .zero)
        #expect(health.lastRenewal.withLock { $0 } == .zero)
        clock.advance(by: .seconds(35))
        #expect(health.failure() == nil)
        clock.advance(by: .seconds(1))
        #expect(health.failure()?.contains("last renewal 36.0 seconds ago, limit 35.0 seconds") == true)
        health.renewed(ago: .zero)
        #expect(health.failure() == nil)
    }

    @Test func `a candidate whose attempts all fail has a problem after a lease duration, and stays live`() {
        clock.advance(by: .seconds(100))
        health.attemptFailed("500")
        clock.advance(by: .seconds(14))
        health.attemptFailed("403")
        #expect(health.problem() == nil)
        clock.advance(by: .seconds(1))
        #expect(health.problem() == .init(age: .seconds(15), reason: "failed to acquire lease: 403"))
        #expect(health.failure() == nil)
        health.attemptSucceeded()
        #expect(health.problem() == nil)
        health.attemptFailed("409")
        #expect(health.problem() == nil)
    }

    @Test func `a leader that does not renew has a problem since its last renewal`() {
        clock.advance(by: .seconds(100))
        health.renewed(ago: .seconds(1))
        clock.advance(by: .seconds(34))
        #expect(health.problem() == nil)
        clock.advance(by: .seconds(1))
        #expect(health.problem()?.age == .seconds(36))
        #expect(health.problem()?.reason == health.failure())
    }

    @Test func `a former leader is a standby`() {
        health.renewed(ago: .zero)
        clock.advance(by: .seconds(100))
        health.stoppedLeading()
        #expect(health.failure() == nil)
    }
}
