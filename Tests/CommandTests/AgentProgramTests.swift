// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The agent as a process, between a simulated API server and simulated drivers.
@Suite(.timeLimit(.minutes(50))) struct AgentProgramTests {
    private static let volume = VolumeFixture(number: 0)

    @Test func `the help names the command and its flags`() async throws {
        let outcome = try await Tool.run(programPath(), ["agent", "--help"])
        #expect(outcome.exitCode == 0)
        #expect(outcome.output.contains("USAGE: csi-health-monitor agent [--flag=value ...]\n"))
        #expect(outcome.output.contains("--all-drivers"))
        #expect(outcome.errors == "")
    }

    @Test func `without NODE_NAME the process ends with one line`() async throws {
        let outcome = try await Tool.run(programPath(), ["agent", "--all-drivers"], environment: ["NODE_NAME": ""])
        #expect(outcome.exitCode == 1)
        #expect(outcome.output == "")
        #expect(outcome.errors.hasPrefix("csi-health-monitor: the environment variable NODE_NAME is not set: "))
        #expect(outcome.errors.count { $0.isNewline } == 1)
    }

    /// One driver behind `--csi-address`, or found by its registration.
    @Test(arguments: [true, false])
    func `an unhealthy volume and its recovery become events on the pod`(allDrivers: Bool) async throws {
        try await Node.set { node in
            let arguments =
                allDrivers
                ? ["--all-drivers", "--kubelet-root-path=\(node.root)"] : ["--csi-address=\(node.driver.socket)"]
            let log = try await node.run(arguments) { _ in
                while try node.events().isEmpty { try await cancellablePollingPause() }
                node.driver.set(nodeCondition: .healthy, ofVolume: Self.volume.handle)
                while try node.events().count < 2 { try await cancellablePollingPause() }
            }
            let events = try node.events()
            #expect(
                Set(events.compactMap { $0["reason"]?.string }) == ["VolumeConditionAbnormal", "VolumeConditionNormal"]
            )
            let abnormal = try #require(events.first { $0["reason"] == "VolumeConditionAbnormal" })
            #expect(abnormal["message"] == "Volume data-0 (claim csi-pvc): The volume isn't mounted")
            #expect(abnormal["involvedObject", "kind"] == "Pod")
            #expect(abnormal["source", "host"] == "n1")
            let messages = log.compactMap { $0["msg"] as? String }
            #expect(messages.first == "Starting")
            #expect(messages.last == "Stopped")
            #expect(messages.contains("Monitoring the driver's volumes"))
            #expect(log.allSatisfy { $0["severity"] as? String != "error" }, "\(log)")
        }
    }

    @Test func `health pages and metrics show the driver and the volume`() async throws {
        try await Node.set { node in
            try await node.run(["--csi-address=\(node.driver.socket)", "--http-endpoint=127.0.0.1:0"]) { processID in
                while try node.events().isEmpty { try await cancellablePollingPause() }
                var found: UInt16?
                while found == nil {
                    try await cancellablePollingPause()
                    found = try StatusPageProgramTests.listeningPort(ofProcess: processID)
                }
                let port = try #require(found)
                let page = try await ProgramPage.get("/healthz/drivers", port: port)
                #expect(
                    page == "hostpath.csi.k8s.io v1.17.0: ok, NodeGetVolumeStats, 1 unhealthy\n"
                )
                #expect(try await ProgramPage.get("/livez", port: port) == "ok")
                let statusz = try await ProgramPage.get("/statusz", port: port)
                #expect(statusz.hasSuffix("\nPaths: /flagz /healthz /livez /metrics /readyz /statusz\n"))
                #expect(
                    try await ProgramPage.get("/flagz", port: port).contains("\ncsi-address=\(node.driver.socket)\n")
                )
                let readiness = try await ProgramPage.get("/readyz?verbose", port: port)
                for check in ["drivers", "api-server", "pods", "permissions"] {
                    #expect(readiness.contains("[+]\(check) ok"), "\(readiness)")
                }
                let metrics = try await ProgramPage.get("/metrics", port: port)
                let labels =
                    #"driver_name="hostpath.csi.k8s.io",namespace="default",persistentvolumeclaim="csi-pvc",pod="my-csi-app",volume="data-0""#
                #expect(
                    metrics.contains("csi_node_volume_health_status{\(labels),status=\"Degraded\"} 1\n"),
                    "\(metrics)"
                )
                #expect(metrics.contains("csi_volume_health_up 1\n"))
                let start = try await ProgramPage.get("/", port: port)
                #expect(start.contains("<title>csi-health-monitor agent: n1</title>"), "\(start)")
                #expect(start.contains("1 of 1 volumes is unhealthy"), "\(start)")
                // Every other page is linked, and every link leads somewhere.
                let links = start.matches(of: /href="\.([^"]*)"/).map { String($0.1) }
                #expect(
                    links == [
                        "/flagz", "/healthz/drivers", "/livez", "/metrics", "/readyz?verbose", "/statusz",
                    ]
                )
                for link in links {
                    #expect(!(try await ProgramPage.get(link, port: port)).hasPrefix("404"), "\(link)")
                }
            }
        }
    }
}

/// A node with one legacy driver, and a pod whose volume is not mounted.
private struct Node: Sendable {
    let root: String
    let server: SimulatedAPIServer
    let driver: SimulatedDriver

    static func set(_ body: (Node) async throws -> Void) async throws {
        let volume = VolumeFixture(number: 0)
        let root = "/tmp/ap-\(UUID().uuidString.prefix(8))"
        for name in ["plugins", "plugins_registry"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(atPath: root) }
        let driver = SimulatedDriver(socket: "\(root)/plugins/csi.sock", configuration: .legacyNode)
        driver.set(nodeCondition: .abnormal("The volume isn't mounted"), ofVolume: volume.handle)
        let registration = SimulatedPluginRegistration(
            socket: "\(root)/plugins_registry/reg.sock",
            info: .init(name: driver.configuration.name, endpoint: driver.socket)
        )
        try await SimulatedAPIServer.withServer { server in
            try server.writeKubeconfig(to: "\(root)/kubeconfig")
            try volume.create(in: server)
            try PodFixture(name: "my-csi-app", nodeName: "n1", claimNames: [volume.claimName]).create(in: server)
            try driver.start()
            try registration.start()
            do {
                try await body(Node(root: root, server: server, driver: driver))
            } catch {
                await registration.stop()
                await driver.stop()
                throw error
            }
            await registration.stop()
            await driver.stop()
        }
    }

    /// Runs the agent while `body` runs, and returns its log.
    @discardableResult
    func run(
        _ arguments: [String],
        _ body: @escaping @Sendable (_ processID: Int32) async throws -> Void
    ) async throws -> [[String: Any]] {
        let log = try await Tool.run(
            programPath(),
            [
                "agent", "--kubeconfig=\(root)/kubeconfig", "--monitor-interval=200ms", "--timeout=1h",
                "--logging-format=json",
            ]
                + arguments,
            environment: ["NODE_NAME": "n1"]
        ) { try await body($0) }.errors
        return try log.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    func events() throws -> [JSONValue] { try server.objects(kind: "Event") }
}
