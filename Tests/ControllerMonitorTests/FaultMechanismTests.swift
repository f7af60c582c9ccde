// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Faults whose mechanism the accelerated worlds of ``FaultTests`` and chaos runs do not need, because another one has
/// the same effect: docs/reliability.md, "Rows that can fail".
@Suite(.timeLimit(.minutes(50))) struct FaultMechanismTests {
    /// The offset of the API server's clock, in seconds, while the condition and while the recovery is recorded.
    static let clocks: [(condition: Int64, recovery: Int64)] = [
        // Set back by an hour in between.
        (0, -3600),
        // Set forward by an hour before, and right again afterwards.
        (3600, 0),
        (0, 3600),
    ]

    /// The API server's clock is in `metadata.creationTimestamp`. A new leader takes the event with the highest
    /// resourceVersion for the last one.
    @Test(.tags(.rule9), arguments: clocks)
    func `a new leader knows the last event whatever the API server's clock was`(
        _ offset: (condition: Int64, recovery: Int64)
    ) async throws {
        try await RestoreTests.run(.abnormal("broken")) { scene in
            scene.server.clockOffset = offset.condition
            try await scene.monitor { _ in
                _ = await scene.write(1)
                scene.server.clockOffset = offset.recovery
                scene.driver.set(.healthy, ofVolume: RestoreTests.volume.handle)
                await scene.sweepAgain()
                _ = await scene.write(2)
            }
            try await scene.monitor { _ in
                await scene.driver.journal.wait(for: "ListVolumes", count: 3)
                for _ in 0..<3 { await scene.sweepAgain() }
            }
            #expect(try scene.events().map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(try scene.events().map { $0["count"] } == [1, 1])
        }
    }

    /// The PersistentVolume controller may take a while to release the volume.
    @Test(.tags(.rule11)) func `nothing is reported on a deleted claim whose volume is still Bound`() async throws {
        let (deleted, other) = (VolumeFixture(number: 0), VolumeFixture(number: 1))
        try await Scene.run { scene in
            for volume in [deleted, other] {
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            try scene.server.delete(
                kind: "PersistentVolumeClaim",
                namespace: deleted.namespace,
                name: deleted.claimName
            )
            // The watch delivers this claim after the deletion.
            let last = VolumeFixture(number: 2)
            try last.create(in: scene.server)
            scene.driver.set(.abnormal("broken"), ofVolume: last.handle)
            while try scene.events().isEmpty { await scene.sweepAgain() }
            scene.driver.set(.abnormal("broken"), ofVolume: deleted.handle)
            scene.driver.set(.abnormal("broken"), ofVolume: other.handle)
            await scene.sweepAgain()
            while try scene.events().count < 2 { await scene.sweepAgain() }
            for _ in 0..<2 { await scene.sweepAgain() }
            let names = try scene.events().map { $0["involvedObject", "name"]?.string ?? "" }
            #expect(Set(names) == [last.claimName, other.claimName])
        }
    }
}
