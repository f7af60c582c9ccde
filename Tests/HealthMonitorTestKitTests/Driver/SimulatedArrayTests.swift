// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite(.timeLimit(.minutes(50))) struct SimulatedArrayTests {
    @Test func `calls beyond the number of servers wait`() {
        var queue = ArrayQueue(servers: 2, serviceTime: .seconds(10))
        #expect((0..<5).map { _ in queue.admit(at: .seconds(1)) } == [11, 11, 21, 21, 31].map(Duration.seconds))
        #expect(queue.waiting == 3)
        // Four have ended: two are in service, and one waits before this one.
        #expect(queue.admit(at: .seconds(21)) == .seconds(31))
        #expect(queue.waiting == 0)
        #expect(queue.admit(at: .seconds(25)) == .seconds(41))
        #expect(queue.waiting == 1)
        #expect(queue.admit(at: .seconds(100)) == .seconds(110))
        #expect(queue.waiting == 0)
    }

    @Test func `jitter stays within its share and is determined by the seed`() {
        func times(seed: UInt64) -> [Duration] {
            var queue = ArrayQueue(servers: 1, serviceTime: .seconds(10), jitter: 0.1, seed: seed)
            return (0..<100).map { queue.admit(at: .seconds($0 * 100)) - .seconds($0 * 100) }
        }
        let first = times(seed: 1)
        #expect(first.allSatisfy { (.seconds(9)...(.seconds(11))).contains($0) })
        #expect(Set(first).count > 1)
        #expect(first == times(seed: 1))
        #expect(first != times(seed: 2))
    }

    @Test func `an array counts only calls about volumes`() async throws {
        let array = SimulatedArray(servers: 1, serviceTime: .milliseconds(1))
        try await withRawClient { driver, client in
            driver.configuration.array = array
            _ = try await client.call("Identity/GetPluginInfo")
            _ = try await client.call("Controller/ControllerGetCapabilities")
            _ = try await client.call("Controller/ListVolumes")
            _ = await client.code("Controller/ControllerGetVolume")
        }
        let load = array.takeLoad()
        #expect(load.latencies.count == 2)
        #expect(load.latencies.allSatisfy { $0 >= .milliseconds(1) })
        #expect(load.deepestQueue == 0)
        #expect(array.takeLoad().latencies.isEmpty)
    }
}
