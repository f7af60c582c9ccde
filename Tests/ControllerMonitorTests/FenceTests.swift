// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Synchronization
import Testing

/// A leader that was frozen continues for a moment while another replica already leads.
@Suite(.timeLimit(.minutes(50))) struct FenceTests {
    /// A lease that the test takes away. It counts the attempts to act without it.
    private final class Lease: Sendable {
        private let isHeld = Mutex(true)
        private let refused = AsyncStream.makeStream(of: Void.self)

        func isLeading() -> Bool {
            let isHeld = isHeld.withLock { $0 }
            if !isHeld { refused.continuation.yield() }
            return isHeld
        }

        func lose() { isHeld.withLock { $0 = false } }

        /// Returns after this number of attempts.
        func refusals(_ count: Int) async {
            var iterator = refused.stream.makeAsyncIterator()
            for _ in 0..<count { await iterator.next() }
        }
    }

    @Test(arguments: [[3, 11, 12], [11, 12], [16, 17], [16]])
    func `without the lease, no call is made and nothing is written`(_ capabilities: [Int]?) async throws {
        let volume = VolumeFixture(number: 0)
        let lease = Lease()
        try await Scene.set { scene in
            try volume.create(in: scene.server)
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
            scene.driver.set(health: [.init(status: 3, reason: "broken")], ofVolume: volume.handle)
            scene.driver.configuration.controllerCapabilities = capabilities
            try await scene.monitor(isLeading: { lease.isLeading() }) { _ in
                // Where volumes are probed one by one, the first probe is not due at once.
                while try scene.events().isEmpty {
                    scene.clock.advance(by: .seconds(1))
                    await pollingPause()
                }
                _ = await scene.write(1, .patch, of: "persistentvolumeclaims")
                lease.lose()
                // The next probe is due.
                scene.clock.advance(by: Scene.interval)
                await lease.refusals(1)
                let calls = scene.driver.journal.records.filter(\.reportsHealth).count
                // Another client changed the status, so it would be written again.
                try scene.server.patch(
                    kind: "PersistentVolumeClaim",
                    namespace: "default",
                    name: volume.claimName,
                    ["status": ["healthStatus": .null]]
                )
                await lease.refusals(1)
                #expect(scene.driver.journal.records.filter(\.reportsHealth).count == calls)
                #expect(scene.server.journal.records.filter(\.isWritten).count == 2)
            }
        }
    }
}
