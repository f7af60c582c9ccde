// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesAPI
import Logging
import Testing

@testable import KubernetesClient

/// Requests with the credentials of a plugin.
@Suite(.timeLimit(.minutes(50))) struct ExecAuthenticatorTests {
    @Test func `concurrent requests run the plugin once`() async throws {
        try await withTemporaryDirectory { directory in
            let plugin = try ScriptedPlugin.make(in: directory)
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin, clock: ManualClock()))) { cluster in
                _ = try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
                try await withThrowingTaskGroup { group in
                    for _ in 0..<8 { group.addTask { _ = try await getLease(cluster) } }
                    try await group.waitForAll()
                }
                #expect(cluster.requests == [String](repeating: "get leases 200", count: 8))
                #expect(ScriptedPlugin.runs(in: directory) == 1)
                #expect(!cluster.log.joined().contains(SimulatedAPIServer.adminToken))
                #expect(cluster.log.contains { $0.contains(#"the status is {"token": "[redacted]"}"#) })
            }
        }
    }

    @Test func `a kubeconfig configures a plugin by a path relative to its directory`() async throws {
        try await withTemporaryDirectory { directory in
            _ = try ScriptedPlugin.make(in: directory)
            try FileManager.default.createSymbolicLink(atPath: "\(directory)/sh", withDestinationPath: "/bin/sh")
            try await TestCluster.with { cluster in
                let authority = Data(cluster.server.certificateAuthority.certificatePEM.utf8).base64EncodedString()
                let kubeconfig = """
                    current-context: c
                    contexts: [{name: c, context: {cluster: c, user: u}}]
                    clusters:
                    - {name: c, cluster: {server: "\(cluster.server.url)", certificate-authority-data: \(authority)}}
                    users:
                    - name: u
                      user:
                        exec: {apiVersion: \(ScriptedPlugin.v1), interactiveMode: Never, command: ./sh,
                          args: ["\(directory)/plugin"]}
                    """
                try write(kubeconfig, to: "\(directory)/config")
                let configuration = try KubernetesConfiguration.load(kubeconfig: "\(directory)/config")
                // Two clients of one configuration share the plugin's credentials.
                for _ in 0..<2 {
                    let client = try KubernetesClient(
                        configuration: configuration,
                        userAgent: "test",
                        rateLimit: nil,
                        connectTimeout: .seconds(3600),
                        requestTimeout: .seconds(3600),
                        logger: cluster.logger
                    )
                    let error = await #expect(throws: KubernetesError.self) {
                        try await client.get(Lease.self, name: "lock", namespace: "default")
                    }
                    #expect(error?.code == .notFound)
                    await client.shutdown()
                }
                #expect(ScriptedPlugin.runs(in: directory) == 1)
            }
        }
    }

    @Test func `after a 401 the plugin runs again, and the request is sent again`() async throws {
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            let plugin = try ScriptedPlugin.make(in: directory, status: ScriptedPlugin.token("expired"))
            let credentials = ExecAuthenticator(plugin, clock: clock)
            try await TestCluster.with(credentials: .exec(credentials)) { cluster in
                _ = try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
                await #expect(throws: KubernetesError.self) { try await getLease(cluster) }
                try write(ScriptedPlugin.token(SimulatedAPIServer.adminToken), to: "\(directory)/status")
                clock.advance(by: .seconds(1))
                _ = try await getLease(cluster)
                _ = try await getLease(cluster)
                #expect(
                    cluster.requests == ["get leases 401", "get leases 401", "get leases 200", "get leases 200"]
                )
                #expect(ScriptedPlugin.runs(in: directory) == 2)
            }
        }
    }

    /// As of a server whose authentication webhook does not respond: a 401 takes longer than the pause between two runs
    /// of the plugin.
    @Test func `a request that is refused again is not sent a third time`() async throws {
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            let plugin = try ScriptedPlugin.make(in: directory, status: ScriptedPlugin.token("0"))
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin, clock: clock))) { cluster in
                let refusals = Collected<Void>()
                cluster.server.intercept { _ in
                    clock.advance(by: .seconds(1))
                    refusals.append(())
                    try? write(ScriptedPlugin.token("\(refusals.values.count)"), to: "\(directory)/status")
                    // Ends the requests of a client without a limit.
                    guard refusals.values.count < 10 else { return .cut }
                    return .fail(StatusError(code: 401, reason: "Unauthorized", message: "Unauthorized"))
                }
                let error = await #expect(throws: KubernetesError.self) { try await getLease(cluster) }
                #expect(error?.code == .unauthorized)
                #expect(cluster.requests == ["get leases 401", "get leases 401"])
                #expect(ScriptedPlugin.runs(in: directory) == 2)
            }
        }
    }

    @Test func `a request is not sent again with the credential that was refused`() async throws {
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            @Sendable func status(_ year: Int) -> String {
                #"{"token": "refused", "expirationTimestamp": "\#(year)-01-01T00:00:00Z"}"#
            }
            let plugin = try ScriptedPlugin.make(in: directory, status: status(2998))
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin, clock: clock))) { cluster in
                cluster.server.intercept { _ in
                    clock.advance(by: .seconds(1))
                    try? write(status(2999), to: "\(directory)/status")
                    return nil
                }
                for sent in 1...2 {
                    let error = await #expect(throws: KubernetesError.self) { try await getLease(cluster) }
                    #expect(error?.code == .unauthorized)
                    #expect(cluster.requests == [String](repeating: "get leases 401", count: sent))
                    #expect(ScriptedPlugin.runs(in: directory) == 1 + sent)
                }
            }
        }
    }

    @Test func `the plugin runs again when the credential has expired`() async throws {
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            let status =
                #"{"token": "\#(SimulatedAPIServer.adminToken)", "expirationTimestamp": "2000-01-01T00:00:00Z"}"#
            let credentials = ExecAuthenticator(try ScriptedPlugin.make(in: directory, status: status), clock: clock)
            try await TestCluster.with(credentials: .exec(credentials)) { cluster in
                for _ in 0..<3 {
                    let error = await #expect(throws: KubernetesError.self) { try await getLease(cluster) }
                    #expect(error?.code == .notFound)
                    clock.advance(by: .milliseconds(500))
                }
                #expect(ScriptedPlugin.runs(in: directory) == 2)
            }
        }
    }

    @Test func `a plugin that fails is an error, and its standard error is logged`() async throws {
        try await withTemporaryDirectory { directory in
            try write("echo 'log in first' >&2; exit 7", to: "\(directory)/plugin")
            var plugin = try ScriptedPlugin.make(in: directory, status: "{}")
            try write("echo 'log in first' >&2; exit 7", to: "\(directory)/plugin")
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin, clock: ManualClock()))) { cluster in
                let error = await #expect(throws: KubernetesError.self) { try await getLease(cluster) }
                #expect(error?.code == .unauthorized)
                #expect(error?.wasDefinitelyNotApplied == true)
                #expect(
                    error?.message == "get leases default/lock: no credentials: "
                        + "credential plugin /bin/sh failed with exit code 7"
                )
                #expect(cluster.log.contains { $0.hasPrefix("warning") && $0.contains("log in first") })
                #expect(cluster.requests.isEmpty)
            }
            // Its output may contain a credential.
            plugin.arguments = ["-c", "echo secret; echo secret >&2; exit 7"]
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin, clock: ManualClock()))) { cluster in
                await #expect(throws: KubernetesError.self) { try await getLease(cluster) }
                #expect(!cluster.log.joined().contains("secret"))
            }
        }
    }

    @Test func `the client certificate is used, and replaced by the next one`() async throws {
        let authority = try TestCertificateAuthority()
        func status(_ name: String) throws -> String {
            let identity = try authority.issueClient(commonName: name)
            let data = try JSONEncoder().encode([
                "clientCertificateData": identity.certificatePEM, "clientKeyData": identity.privateKeyPEM,
            ])
            return String(decoding: data, as: UTF8.self)
        }
        let clients = Collected<String>()
        let configuration = TestHTTPServer.Configuration(
            identity: try authority.issueServer(names: ["127.0.0.1"]),
            clientAuthority: authority
        )
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            let plugin = try ScriptedPlugin.make(in: directory, status: status("first"))
            let credentials = ExecAuthenticator(plugin, clock: clock)
            try await TestHTTPServer.withServer(configuration) { request in
                clients.append(request.peerCommonName ?? "none")
                return TestHTTPResponse(status: request.peerCommonName == "second" ? 403 : 401)
            } _: { server in
                let client = try KubernetesClient(
                    configuration: KubernetesConfiguration(
                        server: server.url,
                        tls: TLSConfiguration(certificateAuthorities: Array(authority.certificatePEM.utf8)),
                        credentials: .exec(credentials)
                    ),
                    userAgent: "test",
                    rateLimit: nil,
                    connectTimeout: .seconds(3600),
                    requestTimeout: .seconds(3600),
                    logger: Logger(label: "test") { _ in InMemoryLogHandler() }
                )
                func code() async -> KubernetesError.Code? {
                    do throws(KubernetesError) {
                        let _: Lease = try await client.get(name: "lock", namespace: "default")
                        return nil
                    } catch {
                        return error.code
                    }
                }
                let first = await code()
                try write(try status("second"), to: "\(directory)/status")
                clock.advance(by: .seconds(1))
                let second = await code()
                await client.shutdown()
                #expect(first == .unauthorized)
                #expect(second == .forbidden)
                #expect(clients.values == ["first", "first", "second"])
            }
        }
    }
}
