// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthMonitor

struct WakeUpTests {
    @Test func aSignalBeforeTheWaitIsRemembered() async {
        let wakeUp = WakeUp()
        wakeUp.signal()
        wakeUp.signal()
        await wakeUp.wait()
        // Only once: the next wait needs a signal of its own, and gets it from the cancellation.
        let second = Task { await wakeUp.wait() }
        second.cancel()
        await second.value
    }

    @Test func aWaitEndsAtItsTime() async throws {
        let clock = ManualClock()
        let waiting = Task { try await WakeUp().wait(until: clock.now.advanced(by: .seconds(5)), clock: clock) }
        #expect(await clock.sleeper() == .seconds(5))
        clock.advance(by: .seconds(5))
        try await waiting.value
    }

    @Test func aWaitEndsAtItsSignal() async throws {
        let clock = ManualClock()
        let wakeUp = WakeUp()
        let waiting = Task { try await wakeUp.wait(until: clock.now.advanced(by: .seconds(5)), clock: clock) }
        await clock.sleeper()
        wakeUp.signal()
        try await waiting.value
        #expect(clock.now.offset == .zero)
    }

    @Test func aCancelledWaitThrows() async {
        let waiting = Task { try await WakeUp().wait(until: nil, clock: ManualClock()) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }
}
