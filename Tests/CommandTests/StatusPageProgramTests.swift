// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

/// The pages of the program as a process, over HTTP.
@Suite(.timeLimit(.minutes(50))) struct StatusPageProgramTests {
    @Test func `the pages of a leader show a volume whose driver is hostile`() async throws {
        try await withMonitor([]) { port in
            var page = try await response("/", port: port)
            while !page.body.contains("1 of 1 volumes is unhealthy") {
                try await cancellablePollingPause()
                page = try await response("/", port: port)
            }
            #expect(page.status == "200")
            #expect(page.headers.contains("content-security-policy: default-src 'none';"))
            #expect(page.headers.contains("content-type: text/html; charset=utf-8\r\n"))
            #expect(page.body.contains("<td data-column=\"Name\">csi-pvc</td>"))
            #expect(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
            #expect(!page.body.contains("<script"))

            let json = try await response("/status.json", port: port)
            #expect(json.headers.contains("content-type: application/json\r\n"))
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(json.body.utf8)) as? [String: Any]
            )
            #expect((object["volumes"] as? [String: Any])?["unhealthy"] as? Int == 1)
            #expect((object["replica"] as? [String: Any])?["role"] as? String == "single")

            let statusz = try await response("/statusz", port: port)
            #expect(statusz.headers.contains("content-type: text/plain; charset=utf-8\r\n"))
            let paths = "\nPaths: /flagz /healthz /livez /metrics /readyz /status.json /statusz\n"
            #expect(statusz.body.hasSuffix(paths))
            let flagz = try await response("/flagz", port: port)
            #expect(flagz.body.contains("\nlist-volumes-interval=1h\n"))
            // Every link of the page leads somewhere.
            for link in page.body.matches(of: /href="\.([^"]*)"/) {
                let status = try await response(String(link.1), port: port).status
                #expect(status == "200" || link.1.hasPrefix("/readyz"), "\(link.1)")
            }
        }
    }

    @Test func `HEAD has the headers of the page and no body`() async throws {
        try await withMonitor([]) { port in
            let response = try await response("/", "--head", port: port)
            #expect(response.status == "200")
            #expect(response.headers.contains("content-type: text/html; charset=utf-8\r\n"))
            #expect(response.body == "")
        }
    }

    @Test func `the commands of docs/status-page.md work as they are written`() async throws {
        let commands = try DocumentedCommand.all(in: "docs/status-page.md").filter { !$0.isExample }
        #expect(commands.count == 2)
        try await withMonitor([]) { port in
            while !(try await response("/", port: port).body.contains("1 of 1 volumes is unhealthy")) {
                try await cancellablePollingPause()
            }
            var outputs = ""
            for command in commands {
                try #require(command.text.contains(":8085/"))
                let text = command.text.replacing(":8085/", with: ":\(port)/")
                let outcome = try await Tool.run("/bin/bash", ["-euo", "pipefail", "-c", text])
                #expect(outcome.exitCode == 0, "\(outcome.errors)")
                outputs += outcome.output
            }
            #expect(outputs.contains("\"unhealthy\": 1,"))
            #expect(outputs.contains("csi-health-monitor statusz\n"))
        }
    }

    @Test func `with --status-page=false there is no page, but the z-pages`() async throws {
        try await withMonitor(["--status-page=false"]) { port in
            for path in ["/", "/status.json"] {
                let status = try await response(path, port: port).status
                #expect(status == "404")
            }
            let statusz = try await response("/statusz", port: port)
            #expect(statusz.body.hasSuffix("\nPaths: /flagz /healthz /livez /metrics /readyz /statusz\n"))
            let flagz = try await response("/flagz", port: port)
            #expect(flagz.body.contains("\nstatus-page=false\n"))
        }
    }

    /// Runs the program with a driver that reports a volume with a hostile reason, until `body` returns.
    private func withMonitor(
        _ flags: [String],
        _ body: @escaping @Sendable (_ port: UInt16) async throws -> Void
    ) async throws {
        let directory = "/tmp/sp-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let volume = VolumeFixture(number: 0)
        try await SimulatedAPIServer.withServer { server in
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            try volume.create(in: server)
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
            driver.set(health: [.init(status: 3, reason: "<script>alert(1)</script>")], ofVolume: volume.handle)
            try driver.start()
            let arguments = [
                "--csi-address=\(driver.socket)", "--timeout=1h", "--kubeconfig=\(directory)/kubeconfig",
                "--list-volumes-interval=1h", "--http-endpoint=127.0.0.1:0",
            ]
            _ = try await Tool.run(programPath(), arguments + flags) { processID in
                var port: UInt16?
                while port == nil {
                    try await cancellablePollingPause()
                    port = try Self.listeningPort(ofProcess: processID)
                }
                try await body(try #require(port))
            }
            await driver.stop()
        }
    }

    /// The port on 127.0.0.1 on which a process listens; nil before it does. Source: proc(5), /proc/pid/net/tcp.
    static func listeningPort(ofProcess processID: Int32) throws -> UInt16? {
        let directory = "/proc/\(processID)"
        let sockets = Set(
            try FileManager.default.contentsOfDirectory(atPath: "\(directory)/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/fd/\($0)")
            }
        )
        let table = String(decoding: try UnsizedFile.contents(of: "\(directory)/net/tcp"), as: UTF8.self)
        for line in table.split(separator: "\n") {
            // The local address, the state, of which 0A is LISTEN, and the inode.
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == "0A", sockets.contains("socket:[\(fields[9])]") else { continue }
            return fields[1].split(separator: ":").last.flatMap { UInt16($0, radix: 16) }
        }
        return nil
    }

    private func response(
        _ path: String,
        _ option: String = "--include",
        port: UInt16
    ) async throws -> (status: String, headers: String, body: String) {
        let output = try await ProgramPage.get(path, port: port, [option])
        let end = try #require(output.firstRange(of: "\r\n\r\n"))
        let head = output[..<end.lowerBound]
        return (
            String(head.split(separator: " ").dropFirst().first ?? ""), head.lowercased() + "\r\n",
            String(output[end.upperBound...])
        )
    }
}
