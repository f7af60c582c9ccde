// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit

/// Rounds of random faults around an agent on a simulated node.
struct NodeChaos {
    private static let nodeName = "minikube"
    private static let token = "token-of-agent"

    /// What the agent may do: the rules of manifests/agent.
    private static let rules: [PolicyRule] = [
        PolicyRule(verbs: ["list", "watch"], apiGroups: [""], resources: ["pods"]),
        PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["persistentvolumeclaims", "persistentvolumes"]),
        PolicyRule(verbs: ["create", "get", "patch"], apiGroups: [""], resources: ["events"]),
    ]

    let seed: UInt64
    let duration: Duration
    let volumes: Int
    /// nil for all.
    let onlyFault: ChaosFault?
    /// The path of csi-health-monitor.
    let monitor: String
    let directory: String

    /// Returns the failure; nil when there was none.
    func run() async throws -> String? {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users[Self.token] = APIUser(name: "agent", rules: Self.rules)
        return try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let kubeletRoot = "\(directory)/kubelet"
            let registrations = "\(kubeletRoot)/plugins_registry"
            try FileManager.default.createDirectory(atPath: registrations, withIntermediateDirectories: true)
            let driver = SimulatedDriver(
                socket: "\(directory)/csi.sock",
                configuration: seed.isMultiple(of: 2) ? .legacyNode : .healthNode
            )
            let name = driver.configuration.name
            let registration = SimulatedPluginRegistration(
                socket: "\(registrations)/\(name)-reg.sock",
                info: .init(name: name, endpoint: driver.socket)
            )
            try driver.start()
            try registration.start()
            let tokenFile = "\(directory)/agent.token"
            try Data(Self.token.utf8).write(to: URL(fileURLWithPath: tokenFile))
            try server.writeKubeconfig(to: "\(directory)/agent.kubeconfig", .tokenFile(tokenFile))
            let world = try SimulatedNodeWorld(
                server: server,
                driver: driver,
                registration: registration,
                kubeletRoot: kubeletRoot,
                nodeName: Self.nodeName,
                volumes: (0..<volumes).map { VolumeFixture(number: $0) },
                tokenFiles: [tokenFile],
                seed: seed
            )
            let agent = agent(kubeletRoot)
            let failure = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await agent.run() }
                defer { group.cancelAll() }
                return try await rounds(world, agent)
            }
            await registration.stop()
            await driver.stop()
            return failure
        }
    }

    private func agent(_ kubeletRoot: String) -> ReplicaProcess {
        ReplicaProcess(
            identity: "agent",
            path: monitor,
            arguments: [
                "agent", "--all-drivers", "--kubelet-root-path=\(kubeletRoot)",
                "--kubeconfig=\(directory)/agent.kubeconfig", "--monitor-interval=1s", "--timeout=1s",
                "--kube-api-qps=50", "--kube-api-burst=100", "--v=4",
                // Volumes change every few seconds, and each change that lasts must be reported.
                "--flapping-threshold=0",
            ],
            log: "\(directory)/agent.log"
        )
    }

    private func rounds(_ world: SimulatedNodeWorld, _ agent: ReplicaProcess) async throws -> String? {
        var scene = NodeChaosScene(world: world, agent: agent, environment: ["NODE_NAME": Self.nodeName])
        var plan = ChaosPlan(seed: seed, faults: ChaosFault.allOnNode, volumes: volumes)
        var report = ChaosReport()
        let clock = ContinuousClock()
        let end = clock.now + duration
        scene.start()
        var failure = try await scene.settle()
        while failure == nil, clock.now < end {
            var round = plan.next()
            if let onlyFault { round.faults = [onlyFault] }
            failure = try await scene.play(round, into: &report)
        }
        printLine(report.table)
        return failure.map { failure in
            let log = (try? String(contentsOfFile: "\(directory)/agent.log", encoding: .utf8)) ?? ""
            return """
                FAILED: \(failure)
                seed \(seed): repeat with --side=node --seed \(seed); the history, the latest last:
                \(scene.world.history.suffix(120).joined(separator: "\n"))
                \(directory)/agent.log:
                \(log.split(separator: "\n").suffix(40).joined(separator: "\n"))
                """
        }
    }
}
