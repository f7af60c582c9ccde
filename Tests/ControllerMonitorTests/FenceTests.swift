// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Synchronization
import Testing

/// A leader that was frozen goes on where it was, for a moment, while another one leads already.
@Suite(.timeLimit(.minutes(30))) struct FenceTests {
    /// Whether the lease is held, and who was reported that it is not.
    private final class Lease: Sendable {
        private let isHeld = Mutex(true)
        private let refused = AsyncStream.makeStream(of: Void.self)

        func isLeading() -> Bool {
            let isHeld = isHeld.withLock { $0 }
            if !isHeld { refused.continuation.yield() }
            return isHeld
        }

        func lose() { isHeld.withLock { $0 = false } }

        /// Returns when so many have been refused.
        func refusals(_ count: Int) async {
            var iterator = refused.stream.makeAsyncIterator()
            for _ in 0..<count { await iterator.next() }
        }
    }

    @Test(arguments: [[3, 11, 12], [11, 12], [16, 17], [16]])
    func `without the lease nothing is asked and nothing is written`(_ capabilities: [Int]?) async throws {
        let volume = VolumeFixture(number: 0)
        let lease = Lease()
        try await Scene.set { scene in
            try volume.create(in: scene.server)
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
            scene.driver.set(health: [.init(status: 3, reason: "broken")], ofVolume: volume.handle)
            scene.driver.configuration.controllerCapabilities = capabilities
            try await scene.monitor(isLeading: { lease.isLeading() }) { _ in
                // Where volumes are asked for one by one, the first question is not due at once.
                while try scene.events().isEmpty {
                    scene.clock.advance(by: .seconds(1))
                    await pollingPause()
                }
                _ = await scene.write(1, .patch, of: "persistentvolumeclaims")
                lease.lose()
                // The next question is due.
                scene.clock.advance(by: Scene.interval)
                await lease.refusals(1)
                let questions = scene.driver.journal.records.filter(\.reportsHealth).count
                // Somebody else has changed the status, which would be written again.
                try scene.server.patch(
                    kind: "PersistentVolumeClaim",
                    namespace: "default",
                    name: volume.claimName,
                    ["status": ["healthStatus": .null]]
                )
                await lease.refusals(1)
                #expect(scene.driver.journal.records.filter(\.reportsHealth).count == questions)
                #expect(scene.server.journal.records.filter(\.isWritten).count == 2)
            }
        }
    }
}
