// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct LivenessProgramTests {
    /// A dead plugin is the kubelet's matter: a restart of the monitor would not help.
    @Test func `a monitor whose plugin has died is live and not ready, until the plugin is back`() async throws {
        let directory = "/tmp/lp-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
            try driver.start()
            let arguments = [
                "--csi-address=\(driver.socket)", "--timeout=1h", "--kubeconfig=\(directory)/kubeconfig",
                "--http-endpoint=127.0.0.1:0",
                "--list-volumes-interval=1s",
            ]
            _ = try await Tool.run(programPath(), arguments) { processID in
                var port: UInt16?
                while port == nil {
                    try await cancellablePollingPause()
                    port = try StatusPageProgramTests.listeningPort(ofProcess: processID)
                }
                let found = try #require(port)
                /// The body and, in the last line, the status.
                func get(_ path: String) async throws -> String {
                    try await ProgramPage.get(path, port: found, ["--write-out", "\n%{http_code}"])
                }
                func waitUntilReady() async throws {
                    while try await !get("/readyz").hasSuffix("\n200") { try await cancellablePollingPause() }
                }
                try await waitUntilReady()
                await driver.stop()
                var readiness = ""
                while !readiness.hasSuffix("\n503") {
                    try await cancellablePollingPause()
                    readiness = try await get("/readyz")
                }
                #expect(readiness.contains("driver-connected") || readiness.contains("last-sweep"), "\(readiness)")
                let liveness = try await get("/livez")
                #expect(liveness == "ok\n200")
                try driver.start()
                try await waitUntilReady()
            }
            await driver.stop()
        }
    }
}
