// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The program as a process: its output, its exit code, and its effects on a simulated cluster.
@Suite(.timeLimit(.minutes(50))) struct ProgramTests {
    @Test(arguments: [
        ["--version"], ["-version=true"], ["controller", "--version"], ["agent", "--version"],
    ])
    func `the version is printed`(arguments: [String]) async throws {
        let expected = Tool.Outcome(exitCode: 0, output: "\(Program.versionLine)\n", errors: "")
        let outcome = try await run(arguments)
        #expect(outcome == expected)
    }

    @Test(arguments: [["--help"], ["-h"], ["controller", "-help"]])
    func `the help is printed`(arguments: [String]) async throws {
        let outcome = try await run(arguments)
        #expect(outcome.exitCode == 0)
        #expect(outcome.output.contains("USAGE: csi-health-monitor [COMMAND] [--flag=value ...]\n"))
        for command in ["controller", "agent", "doctor", "check"] { #expect(outcome.output.contains("\n\(command): ")) }
        #expect(outcome.errors == "")
    }

    @Test(arguments: [
        (["--no-such-flag=1"], "Unknown option '--no-such-flag'"),
        (["verify"], "unexpected argument \"verify\""),
        (["--worker-threads=0"], "--worker-threads must be greater than zero"),
        (
            ["--csi-address=/nowhere/csi.sock"],
            "--csi-address: cannot access /nowhere: No such file or directory"
        ),
    ])
    func `an error is printed on one line, and the exit code is 1`(arguments: [String], message: String) async throws {
        let expected = Tool.Outcome(exitCode: 1, output: "", errors: "csi-health-monitor: \(message)\n")
        let outcome = try await run(arguments)
        #expect(outcome == expected)
    }

    @Test func `the error for an encrypted client key names its line and field in the kubeconfig`() async throws {
        try await withDirectory { directory in
            let identity = try TestCertificateAuthority().issueClient(commonName: "monitor")
            let data = [identity.certificatePEM, EncryptedKey.pem].map { Data($0.utf8).base64EncodedString() }
            let kubeconfig = """
                current-context: c
                contexts: [{name: c, context: {cluster: c, user: u}}]
                clusters: [{name: c, cluster: {server: "https://api.invalid"}}]
                users: [{name: u, user: {client-certificate-data: \(data[0]), client-key-data: \(data[1])}}]
                """
            try Data(kubeconfig.utf8).write(to: URL(fileURLWithPath: "\(directory)/kubeconfig"))
            let outcome = try await run([
                "--csi-address=\(directory)/csi.sock", "--kubeconfig=\(directory)/kubeconfig",
            ])
            #expect(outcome.exitCode == 1)
            let place = "\(directory)/kubeconfig:4: users[\"u\"].user.client-key-data"
            let line = "csi-health-monitor: \(place): the private key is encrypted, which is not supported: "
            #expect(outcome.errors.contains(line), "\(outcome.errors)")
        }
    }

    /// libcurl itself would use all of these variables; Go ignores ALL_PROXY, and needs no proxy for a loopback
    /// address.
    @Test func `proxies are taken from the environment by Go's rules`() async throws {
        try await withDirectory { directory in
            try await SimulatedAPIServer.withServer { server in
                try server.writeKubeconfig(to: "\(directory)/kubeconfig")
                let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
                try driver.start()
                let proxy = "http://127.0.0.1:1"
                _ = try await Tool.run(
                    programPath(),
                    ["--csi-address=\(directory)/csi.sock", "--timeout=1h", "--kubeconfig=\(directory)/kubeconfig"],
                    environment: ["ALL_PROXY": proxy, "all_proxy": proxy, "HTTPS_PROXY": proxy, "https_proxy": proxy]
                ) { _ in
                    _ = await server.journal.first { $0.code == 200 }
                }
                await driver.stop()
            }
        }
    }

    /// As client-go's leader election does: `kubectl get events` shows which replica was leader, and when.
    @Test func `leadership is recorded on the Lease as events`() async throws {
        try await withDirectory { directory in
            try await SimulatedAPIServer.withServer { server in
                try server.writeKubeconfig(to: "\(directory)/kubeconfig")
                let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
                try driver.start()
                _ = try await Tool.run(
                    programPath(),
                    [
                        "--csi-address=\(directory)/csi.sock", "--timeout=1h", "--kubeconfig=\(directory)/kubeconfig",
                        "--leader-election", "--leader-election-namespace=kube-system",
                    ] + longLease,
                    environment: ["POD_NAME": "csi-0"]
                ) { _ in
                    while try server.objects(kind: "Event").isEmpty { try await cancellablePollingPause() }
                }
                await driver.stop()
                let events = try server.objects(kind: "Event").sorted {
                    ($0["message"]?.string ?? "") < ($1["message"]?.string ?? "")
                }
                #expect(events.first?["message"] == "csi-0 became leader")
                // The process ends without this event when the release takes three seconds.
                #expect(events.dropFirst().allSatisfy { $0["message"] == "csi-0 stopped leading" })
                let lease = "external-health-monitor-leader-hostpath-csi-k8s-io"
                for event in events {
                    #expect(event["reason"] == "LeaderElection")
                    #expect(event["type"] == "Normal")
                    #expect(event["metadata", "namespace"] == "kube-system")
                    #expect(event["involvedObject", "kind"] == "Lease")
                    #expect(event["involvedObject", "apiVersion"] == "coordination.k8s.io/v1")
                    #expect(event["involvedObject", "name"]?.string == lease)
                    #expect(event["source", "component"]?.string == "\(lease)/csi-0")
                }
            }
        }
    }

    /// client-go: proxy-url comes before the environment. libcurl itself would obey NO_PROXY all the same.
    @Test func `the proxy of a kubeconfig is used whatever NO_PROXY says`() async throws {
        try await withDirectory { directory in
            let kubeconfig = """
                current-context: c
                contexts: [{name: c, context: {cluster: c, user: u}}]
                clusters: [{name: c, cluster: {server: "https://api.invalid", proxy-url: "http://127.0.0.1:1"}}]
                users: [{name: u, user: {token: t}}]
                """
            try Data(kubeconfig.utf8).write(to: URL(fileURLWithPath: "\(directory)/kubeconfig"))
            let outcome = try await Tool.run(
                programPath(),
                ["status", "--kubeconfig=\(directory)/kubeconfig"],
                environment: ["NO_PROXY": "*", "no_proxy": "*"]
            )
            #expect(outcome.exitCode == 2)
            #expect(outcome.errors.contains("127.0.0.1 port 1"), "\(outcome.errors)")
        }
    }

    /// Runbooks and alerts quote these messages.
    @Test func `a run with one report logs a few lines by default, each with the driver's name`()
        async throws
    {
        // Logged only if something takes long, as on a busy machine, in part before the driver's name is known.
        let waiting = [
            "Waiting for the CSI driver", "CSI driver is ready", "Readiness check failing", "Readiness check recovered",
            "Failed to watch, retrying", "Watch recovered", "Failed to read back events, retrying",
            "Failed to acquire lease, retrying", "Failed to renew lease, retrying", "Failed to record event, retrying",
            "Failed to update the claim's status, retrying",
        ]
        let lines = try await logOfReport([]).filter { !waiting.contains($0["msg"] as? String ?? "") }
        // The release may take three seconds.
        let messages = lines.compactMap { $0["msg"] as? String }
            .map { $0 == "Failed to release lease, it expires on its own" ? "Released lease" : $0 }
        // Its position varies: it is logged at the end of the sweep.
        let change = "Volume health changed"
        #expect(messages.count { $0 == change } == 1)
        #expect(
            messages.filter { $0 != change } == [
                "Starting", "Became leader", "Monitoring the driver's volumes",
                "The API server keeps status.healthStatus of claims", "Released lease", "Stopped",
            ]
        )
        #expect(lines.dropFirst().allSatisfy { $0["driver"] as? String == "hostpath.csi.k8s.io" })
        #expect(lines.allSatisfy { $0["v"] as? Int == 0 })
    }

    @Test(arguments: [
        (2, ["Recorded event"], ["Read back events"]), (4, ["Read back events"], ["GRPC call"]),
        (5, ["GRPC call"], ["API request"]), (6, ["API request"], []),
    ])
    func `each verbosity adds the documented messages`(verbosity: Int, logged: [String], silent: [String]) async throws
    {
        let lines = try await logOfReport(["--v=\(verbosity)"])
        let messages = Set(lines.compactMap { $0["msg"] as? String })
        #expect(messages.isSuperset(of: logged), "\(messages)")
        #expect(messages.isDisjoint(with: silent), "\(messages)")
        #expect(lines.compactMap { $0["v"] as? Int }.max() == verbosity)
        let paths = lines.compactMap { $0["path"] as? String }
        #expect(paths.contains { $0.contains("/leases") } == (verbosity >= 6))
    }

    /// However busy the machine is, the lease is not lost.
    private let longLease = ["--leader-election-lease-duration=1h", "--leader-election-renew-deadline=50m"]

    /// The log of a leader that reports one unhealthy volume, lists the volumes ten more times, and is stopped.
    private func logOfReport(_ flags: [String]) async throws -> [[String: Any]] {
        let volume = VolumeFixture(number: 0)
        var log = ""
        try await withDirectory { directory in
            try await SimulatedAPIServer.withServer { server in
                try server.writeKubeconfig(to: "\(directory)/kubeconfig")
                try volume.create(in: server)
                let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
                driver.set(health: [.init(status: 3, reason: "Gone")], ofVolume: volume.handle)
                try driver.start()
                log = try await Tool.run(
                    programPath(),
                    [
                        "--csi-address=\(directory)/csi.sock", "--kubeconfig=\(directory)/kubeconfig",
                        "--leader-election", "--leader-election-namespace=default", "--logging-format=json",
                        "--list-volumes-interval=50ms", "--timeout=1h",
                    ] + longLease + flags
                ) { _ in
                    // Not only the event on the Lease.
                    while try !server.objects(kind: "Event").contains(where: {
                        $0["involvedObject", "kind"] == "PersistentVolumeClaim"
                    }) {
                        try await cancellablePollingPause()
                    }
                    while try server.object(
                        kind: "PersistentVolumeClaim",
                        namespace: "default",
                        name: volume.claimName
                    )?[
                        "status",
                        "healthStatus"
                    ] == nil {
                        try await cancellablePollingPause()
                    }
                    let method = "ControllerListVolumeHealth"
                    await driver.journal.wait(for: method, count: driver.journal.calls(method).count + 10)
                }.errors
                await driver.stop()
            }
        }
        return try log.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "pt-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await body(directory)
    }

    private func run(_ arguments: [String]) async throws -> Tool.Outcome {
        try await Tool.run(programPath(), arguments)
    }
}

/// The path of the program, which is next to the test executable in the build directory.
func programPath() throws -> String {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "csi-health-monitor").path
}
