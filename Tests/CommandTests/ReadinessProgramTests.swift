// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

@Suite(.timeLimit(.minutes(50))) struct ReadinessProgramTests {
    /// A missing rule, a broken webhook: if it is so for each replica, none leads.
    @Test func `a replica that cannot acquire the Lease is not ready until it can, and stays live`() async throws {
        let directory = "/tmp/rp-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            server.intercept {
                $0.resource == "leases"
                    ? .fail(StatusError(code: 500, reason: "InternalError", message: "webhook failed")) : nil
            }
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
            try driver.start()
            _ = try await Tool.run(
                programPath(),
                [
                    "--csi-address=\(driver.socket)", "--timeout=1h", "--kubeconfig=\(directory)/kubeconfig",
                    "--http-endpoint=127.0.0.1:0", "--leader-election", "--leader-election-namespace=kube-system",
                    "--leader-election-lease-duration=10s", "--leader-election-renew-deadline=9s",
                    "--leader-election-retry-period=100ms",
                ]
            ) { processID in
                var port: UInt16?
                while port == nil {
                    try await cancellablePollingPause()
                    port = try StatusPageProgramTests.listeningPort(ofProcess: processID)
                }
                let found = try #require(port)
                func get(_ path: String) async throws -> String { try await ProgramPage.get(path, port: found) }
                var checks = ""
                // On a busy machine, requests for the lease may also exceed their time of half the renew deadline.
                while !checks.contains("[-]lease failed since ") || !checks.contains("500: webhook failed") {
                    try await cancellablePollingPause()
                    checks = try await get("/readyz?verbose")
                }
                #expect(checks.contains(": failed to acquire lease: "), "\(checks)")
                #expect(try await get("/healthz/leader-election") == "ok")
                server.intercept(nil)
                while !checks.contains("[+]lease ok: leader") {
                    try await cancellablePollingPause()
                    checks = try await get("/readyz?verbose")
                }
            }
            await driver.stop()
        }
    }
}
