// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The warnings of `status -w` against a simulated API server.
@Suite(.timeLimit(.minutes(50))) struct StatusWatchTests {
    @Test func `a watch has no warning where the server rejects streaming lists`() async throws {
        try await withScene { scene in
            scene.server.featureGates.remove(.watchList)
            let (texts, continuation) = AsyncStream.makeStream(of: String.self)
            let status = try scene.status(["-w", "-o", "json"])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let sink = StatusSink(
                        output: { continuation.yield($0) },
                        errors: { continuation.yield($0) }
                    )
                    _ = try? await status.run(explaining: nil, into: sink)
                }
                var warnings: [String] = []
                var isBroken = false
                for await text in texts {
                    if text.hasPrefix("warning: ") { warnings.append(text) }
                    // The change follows the list of its watch, and that the rejected one.
                    if text.contains(#""name":"csi-pvc","status":"Degraded""#) { break }
                    if !isBroken { try scene.break("csi-pvc", "Degraded", "SlowIO", "3 of 12 paths") }
                    isBroken = true
                }
                #expect(warnings == [])
                group.cancelAll()
            }
        }
    }
}
