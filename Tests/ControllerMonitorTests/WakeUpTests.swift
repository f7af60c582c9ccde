// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

struct WakeUpTests {
    @Test func `a signal before the wait is remembered`() async {
        let wakeUp = WakeUp()
        wakeUp.signal()
        wakeUp.signal()
        await wakeUp.wait()
        // Only once: the next wait needs a signal of its own, and gets it from the cancellation.
        let second = Task { await wakeUp.wait() }
        second.cancel()
        await second.value
    }
}
