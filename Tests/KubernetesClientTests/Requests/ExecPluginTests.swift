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

/// Plugins that are shell scripts, run by /bin/sh.
@Suite(.timeLimit(.minutes(30))) struct ExecPluginTests {
    private static let v1 = "client.authentication.k8s.io/v1"

    private func plugin(_ script: String, in directory: String, arguments: [String] = []) throws -> ExecPlugin {
        try write(script, to: "\(directory)/plugin")
        return ExecPlugin(
            apiVersion: Self.v1,
            command: "/bin/sh",
            arguments: ["\(directory)/plugin"] + arguments,
            environment: ["PLUGIN_SETTING": "a b$HOME"],
            info: #"{"kind":"ExecCredential"}"#
        )
    }

    private func run(
        _ script: String,
        arguments: [String] = [],
        // A clock that stands still, so that a busy machine causes no timeout.
        clock: any Clock<Duration> = ManualClock()
    )
        async throws -> ExecPlugin.Output
    {
        var output: ExecPlugin.Output?
        try await withTemporaryDirectory { directory in
            output = try await plugin(script, in: directory, arguments: arguments).run(clock)
        }
        return try #require(output)
    }

    private func text(_ output: ExecPlugin.Output) -> String { String(decoding: output.output, as: UTF8.self) }

    @Test func `arguments and environment variables are passed unchanged`() async throws {
        let script =
            #"printf '%s|%s|%s|%s|' "$1" "$2" "$PLUGIN_SETTING" "$KUBERNETES_EXEC_INFO"; echo note >&2; exit 3"#
        let output = try await run(script, arguments: ["$(echo no) `id`", "*"])
        #expect(text(output) == #"$(echo no) `id`|*|a b$HOME|{"kind":"ExecCredential"}|"#)
        #expect(output.errors == "note\n")
        #expect(output.exitCode == 3)
    }

    @Test func `the environment is inherited and standard input is empty`() async throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        #expect(try await text(run(#"printf %s "$PATH"; cat"#)) == path)
    }

    @Test func `output beyond the limit is rejected`() async throws {
        let error = await #expect(throws: KubernetesConfigurationError.self) {
            try await run("head -c 1048577 /dev/zero; exec sleep 1000")
        }
        #expect(error?.message == "credential plugin printed more than 1048576 bytes")
        #expect(try await run("head -c 1048576 /dev/zero").output.count == 1_048_576)
    }

    @Test func `only the beginning of standard error is kept`() async throws {
        let output = try await run("head -c 1000000 /dev/zero | tr '\\0' x >&2; printf done")
        #expect(output.errors == String(repeating: "x", count: 4096))
        #expect(text(output) == "done")
    }

    @Test(arguments: [
        ": > ready; exec sleep 1000",
        "trap '' TERM INT HUP; sleep 1000 & echo $! > child; : > ready; sleep 1000; sleep 1000",
    ])
    func `a plugin that does not end in time is killed with its children`(_ script: String) async throws {
        let clock = ManualClock()
        try await withTemporaryDirectory { directory in
            let plugin = try plugin("cd '\(directory)'\necho $$ > process\n\(script)", in: directory)
            await withTaskGroup { group in
                group.addTask {
                    let error = await #expect(throws: KubernetesConfigurationError.self) {
                        try await plugin.run(clock)
                    }
                    #expect(error?.message == "credential plugin did not end within 30.0 seconds")
                }
                await clock.sleepers(1)
                // The processes whose ids the script has written are running by then.
                while !Task.isCancelled, !FileManager.default.fileExists(atPath: "\(directory)/ready") {
                    await pollingPause()
                }
                clock.advance(by: .seconds(30))
            }
            for file in ["process", "child"] {
                guard let text = try? String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8) else { continue }
                let process = text.trimmingCharacters(in: .whitespacesAndNewlines)
                while !Task.isCancelled, isRunning(process) { await pollingPause() }
                #expect(!isRunning(process))
            }
        }
    }

    /// Whether a process exists and is not a zombie.
    private func isRunning(_ process: String) -> Bool {
        guard let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
        return state.split(separator: ")").last?.hasPrefix(" Z") == false
    }

    @Test func `cancellation kills the plugin`() async throws {
        let clock = ManualClock()
        try await withTemporaryDirectory { directory in
            let plugin = try plugin("exec sleep 1000", in: directory)
            await withTaskGroup { group in
                group.addTask {
                    await #expect(throws: (any Error).self) { try await plugin.run(clock) }
                }
                await clock.sleepers(1)
                group.cancelAll()
            }
        }
    }

    @Test(arguments: [("no-such-credential-plugin", " in PATH"), ("/no/such/plugin", ""), ("/dev/null", "")])
    func `a missing plugin is an error with the install hint`(_ command: String, place: String) async throws {
        try await withTemporaryDirectory { directory in
            var plugin = try plugin("", in: directory)
            plugin.command = command
            plugin.installHint = "install it from example.org"
            let error = await #expect(throws: KubernetesConfigurationError.self) {
                try await plugin.run(ContinuousClock())
            }
            #expect(error?.code == .missing)
            #expect(
                error?.message == "credential plugin \(command) was not found\(place), or is not executable: "
                    + "install it from example.org"
            )
        }
    }

    @Test func `a name is looked up in PATH`() async throws {
        try await withTemporaryDirectory { directory in
            var plugin = try plugin("printf found", in: directory)
            plugin.command = "sh"
            #expect(try await text(plugin.run(ContinuousClock())) == "found")
        }
    }
}

/// Requests with the credentials of a plugin.
@Suite(.timeLimit(.minutes(30))) struct ExecAuthenticatorTests {
    private static let v1 = "client.authentication.k8s.io/v1"

    /// A script that appends a line to `runs` at each run, and prints an ExecCredential with the content of `status`.
    private func plugin(in directory: String, status: String) throws -> ExecPlugin {
        try write(status, to: "\(directory)/status")
        let script = """
            echo run >> '\(directory)/runs'
            status=$(cat '\(directory)/status')
            echo "the status is $status" >&2
            printf '{"kind": "ExecCredential", "apiVersion": "\(Self.v1)", "status": %s}' "$status"
            """
        try write(script, to: "\(directory)/plugin")
        return ExecPlugin(
            apiVersion: Self.v1,
            command: "/bin/sh",
            arguments: ["\(directory)/plugin"],
            environment: [:],
            info: "{}"
        )
    }

    private func runs(_ directory: String) -> Int {
        (try? String(contentsOfFile: "\(directory)/runs", encoding: .utf8))?.split(separator: "\n").count ?? 0
    }

    private func get(_ cluster: TestCluster) async throws -> Lease {
        try await cluster.client.get(name: "lock", namespace: "default")
    }

    private func token(_ token: String) -> String { #"{"token": "\#(token)"}"# }

    @Test func `concurrent requests run the plugin once`() async throws {
        try await withTemporaryDirectory { directory in
            let plugin = try plugin(in: directory, status: token(SimulatedAPIServer.adminToken))
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin))) { cluster in
                _ = try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
                try await withThrowingTaskGroup { group in
                    for _ in 0..<8 { group.addTask { _ = try await get(cluster) } }
                    try await group.waitForAll()
                }
                #expect(cluster.requests == [String](repeating: "get leases 200", count: 8))
                #expect(runs(directory) == 1)
                #expect(!cluster.log.joined().contains(SimulatedAPIServer.adminToken))
                #expect(cluster.log.contains { $0.contains(#"the status is {"token": "[redacted]"}"#) })
            }
        }
    }

    @Test func `a kubeconfig configures a plugin by a path relative to its directory`() async throws {
        try await withTemporaryDirectory { directory in
            _ = try plugin(in: directory, status: token(SimulatedAPIServer.adminToken))
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
                        exec: {apiVersion: \(Self.v1), interactiveMode: Never, command: ./sh, args: ["\(directory)/plugin"]}
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
                #expect(runs(directory) == 1)
            }
        }
    }

    @Test func `after a 401 the plugin runs again, and the request is sent again`() async throws {
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            let credentials = ExecAuthenticator(try plugin(in: directory, status: token("expired")), clock: clock)
            try await TestCluster.with(credentials: .exec(credentials)) { cluster in
                _ = try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
                await #expect(throws: KubernetesError.self) { try await get(cluster) }
                try write(token(SimulatedAPIServer.adminToken), to: "\(directory)/status")
                clock.advance(by: .seconds(1))
                _ = try await get(cluster)
                _ = try await get(cluster)
                #expect(
                    cluster.requests == ["get leases 401", "get leases 401", "get leases 200", "get leases 200"]
                )
                #expect(runs(directory) == 2)
            }
        }
    }

    @Test func `the plugin runs again when the credential has expired`() async throws {
        try await withTemporaryDirectory { directory in
            let clock = ManualClock()
            let status =
                #"{"token": "\#(SimulatedAPIServer.adminToken)", "expirationTimestamp": "2000-01-01T00:00:00Z"}"#
            let credentials = ExecAuthenticator(try plugin(in: directory, status: status), clock: clock)
            try await TestCluster.with(credentials: .exec(credentials)) { cluster in
                for _ in 0..<3 {
                    let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
                    #expect(error?.code == .notFound)
                    clock.advance(by: .milliseconds(500))
                }
                #expect(runs(directory) == 2)
            }
        }
    }

    @Test func `a plugin that fails is an error, and its standard error is logged`() async throws {
        try await withTemporaryDirectory { directory in
            try write("echo 'log in first' >&2; exit 7", to: "\(directory)/plugin")
            var plugin = try plugin(in: directory, status: "{}")
            try write("echo 'log in first' >&2; exit 7", to: "\(directory)/plugin")
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin))) { cluster in
                let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
                #expect(error?.code == .unauthorized)
                #expect(
                    error?.message == "get leases default/lock: no credentials: "
                        + "credential plugin /bin/sh failed with exit code 7"
                )
                #expect(cluster.log.contains { $0.hasPrefix("warning") && $0.contains("log in first") })
                #expect(cluster.requests.isEmpty)
            }
            // Its output may contain a credential.
            plugin.arguments = ["-c", "echo secret; echo secret >&2; exit 7"]
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin))) { cluster in
                await #expect(throws: KubernetesError.self) { try await get(cluster) }
                #expect(!cluster.log.joined().contains("secret"))
            }
        }
    }

    @Test func `cancelling the request that runs the plugin does not fail the others`() async throws {
        try await withTemporaryDirectory { directory in
            let plugin = try plugin(in: directory, status: token(SimulatedAPIServer.adminToken))
            // The first run hangs until it is cancelled.
            let script = try String(contentsOfFile: "\(directory)/plugin", encoding: .utf8)
            try write(
                "[ -e '\(directory)/runs' ] || { echo run > '\(directory)/runs'; exec sleep 1000; }\n\(script)",
                to: "\(directory)/plugin"
            )
            let clock = ManualClock()
            try await TestCluster.with(credentials: .exec(ExecAuthenticator(plugin, clock: clock))) { cluster in
                let first = await withTaskGroup(of: KubernetesError.Code?.self) { group in
                    group.addTask {
                        do throws(KubernetesError) {
                            let _: Lease = try await cluster.client.get(name: "lock", namespace: "default")
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                    while !Task.isCancelled, runs(directory) == 0 { await pollingPause() }
                    group.cancelAll()
                    return await group.next() ?? nil
                }
                #expect(first == .cancelled)
                let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
                #expect(error?.code == .notFound)
                #expect(runs(directory) == 2)
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
            let credentials = ExecAuthenticator(try plugin(in: directory, status: status("first")), clock: clock)
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
