// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Testing

/// The log at the highest verbosity, the events and what the HTTP endpoint serves contain neither bearer tokens nor a
/// driver's secrets, whatever fails.
@Suite(.timeLimit(.minutes(50))) struct SecrecyTests {
    /// Unlike any other text in logs and events.
    private static let tokens = ["first-bearer-token-q7w", "second-bearer-token-x3k"]
    private static let password = "storage-password-z9p"
    private static let volume = VolumeFixture(number: 0)
    private static let paths = [
        "/", "/status.json", "/statusz", "/flagz", "/metrics", "/readyz?verbose", "/healthz/driver",
    ]

    @Test func `neither tokens nor secrets are in logs, events and pages`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "sc-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var configuration = SimulatedAPIServer.Configuration()
        for token in Self.tokens { configuration.users[token] = APIUser(name: "with \(token)") }
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            try Self.prepare(server)
            try Data(Self.tokens[0].utf8).write(to: URL(fileURLWithPath: "\(directory)/token"))
            try server.writeKubeconfig(to: "\(directory)/kubeconfig", .tokenFile("\(directory)/token"))
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
            driver.set(
                health: [.init(status: 2, reason: "Login", message: "\(Self.password) is wrong")],
                ofVolume: Self.volume.handle
            )
            try driver.start()
            let (pages, log) = try await Tool.run(
                programPath(),
                [
                    "--csi-address=\(directory)/csi.sock", "--kubeconfig=\(directory)/kubeconfig",
                    "--list-volumes-interval=50ms", "--volume-secrets=controller-publish", "--leader-election",
                    "--leader-election-namespace=default", "--leader-election-lease-duration=1h",
                    "--leader-election-renew-deadline=50m", "--timeout=1h", "--http-endpoint=127.0.0.1:0", "--v=10",
                ]
            ) { processID in
                var pages: [String: String] = [:]
                func readPages() async throws {
                    var listening = try StatusPageProgramTests.listeningPort(ofProcess: processID)
                    while listening == nil {
                        try await cancellablePollingPause()
                        listening = try StatusPageProgramTests.listeningPort(ofProcess: processID)
                    }
                    let port = try #require(listening)
                    for path in Self.paths { pages[path, default: ""] += try await Self.page(path, port) }
                }
                // Not the event on the Lease.
                while try !server.objects(kind: "Event").contains(where: {
                    $0["involvedObject", "kind"] == "PersistentVolumeClaim"
                }) {
                    try await cancellablePollingPause()
                }
                // The driver repeats the secret in its error.
                driver.intercept { call in
                    call.method.hasSuffix("VolumeHealth") ? .fail(.unauthenticated, "\(Self.password) is wrong") : nil
                }
                try await Self.lists(4, driver)
                try await readPages()
                driver.intercept(nil)
                let faults = FaultInjector(
                    server: server,
                    drivers: [driver],
                    volumes: [Self.volume],
                    tokenFiles: ["\(directory)/token"]
                )
                for (fault, code) in [(APIServerFault.unauthorized, 401), (.internalError, 500)] {
                    _ = server.journal.takeAll()
                    try await faults.begin(.apiServer(fault))
                    driver.set(health: [.init(status: 1, reason: "Slow\(code)")], ofVolume: Self.volume.handle)
                    // Of the event, or of the lease.
                    _ = await server.journal.first { $0.code == code }
                    try await readPages()
                    try await faults.end(.apiServer(fault))
                }
                try Data(Self.tokens[1].utf8).write(to: URL(fileURLWithPath: "\(directory)/token"))
                server.users[Self.tokens[0]] = nil
                driver.set(health: [.init(status: 3, reason: "Gone")], ofVolume: Self.volume.handle)
                _ = await server.journal.first {
                    $0.request.user == "with \(Self.tokens[1])" && $0.request.resource == "events" && $0.isWritten
                }
                // The client of the Lease has the new token too: a Lease that was just refused is not released.
                _ = await server.journal.first {
                    $0.request.user == "with \(Self.tokens[1])" && $0.request.resource == "leases" && $0.code == 200
                }
                try await readPages()
                return pages
            }
            await driver.stop()
            // The log is not empty.
            #expect(log.contains("GRPC response"))
            #expect(log.contains("(redacted) is wrong"))
            #expect(log.contains("Released lease") || log.contains("Failed to release lease"))
            let events = try server.objects(kind: "Event").map { "\($0)" }.joined()
            #expect(events.contains("(redacted) is wrong"))
            for path in ["/", "/status.json"] {
                #expect(pages[path]?.contains("(redacted) is wrong") == true, "\(path)")
            }
            for secret in Self.tokens + [Self.password, Data(Self.password.utf8).base64EncodedString()] {
                #expect(!log.contains(secret))
                #expect(!events.contains(secret))
                for (path, text) in pages { #expect(!text.contains(secret), "\(path)") }
            }
        }
    }

    private static func prepare(_ server: SimulatedAPIServer) throws {
        try volume.create(in: server)
        try server.create([
            "apiVersion": "v1", "kind": "Secret", "metadata": ["namespace": "default", "name": "login"],
            "data": ["password": .string(Data(password.utf8).base64EncodedString())],
        ])
        try server.patch(
            kind: "PersistentVolume",
            name: volume.volumeName,
            ["spec": ["csi": ["controllerPublishSecretRef": ["namespace": "default", "name": "login"]]]]
        )
    }

    /// The body of a page of the program, whatever its status.
    private static func page(_ path: String, _ port: UInt16) async throws -> String {
        let output = try await ProgramPage.get(path, port: port)
        #expect(!output.isEmpty, "\(path)")
        return output
    }

    /// Waits for `count` more lists.
    private static func lists(_ count: Int, _ driver: SimulatedDriver) async throws {
        let method = "ControllerListVolumeHealth"
        await driver.journal.wait(for: method, count: driver.journal.calls(method).count + count)
    }
}
