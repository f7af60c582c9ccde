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
        // Remembered once: the next wait needs another signal, or ends by cancellation.
        let second = Task { await wakeUp.wait() }
        second.cancel()
        await second.value
    }
}
