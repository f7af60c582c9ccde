// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import HealthMonitorTestKit
import KubernetesAPI
import Synchronization

@testable import Flags
@testable import csi_health_monitor

/// A simulated API server with three claims, and runs of the `status` command against it.
struct StatusScene {
    let server: SimulatedAPIServer
    /// Of the kubeconfig.
    let directory: String

    var kubeconfig: String { "\(directory)/kubeconfig" }

    /// Runs the command in this process, or the program.
    func run(_ arguments: [String], isProcess: Bool = false) async throws -> Tool.Outcome {
        guard !isProcess else {
            return try await Tool.run(
                programPath(),
                ["status", "--request-timeout=0"] + arguments,
                environment: ["KUBECONFIG": kubeconfig]
            )
        }
        let (output, errors) = (Texts(), Texts())
        let sink = StatusSink(output: { output.add($0) }, errors: { errors.add($0) })
        let command = try StatusCommand.parse(arguments)
        let exitCode = try await status(arguments).run(explaining: command.explainedClaim, into: sink)
        return Tool.Outcome(exitCode: exitCode, output: output.all, errors: errors.all)
    }

    func status(_ arguments: [String]) throws -> StatusRun {
        try StatusRun(
            StatusCommand.parse(["--request-timeout=0"] + arguments).flags,
            environment: ["KUBECONFIG": kubeconfig],
            isColored: false
        )
    }

    /// Writes `status.healthStatus`.
    func `break`(
        _ claim: String,
        namespace: String = "default",
        _ status: String,
        _ reason: String,
        _ message: String
    ) throws {
        try server.patch(
            kind: "PersistentVolumeClaim",
            namespace: namespace,
            name: claim,
            [
                "status": [
                    "healthStatus": [
                        "healthConditions": [
                            ["status": .string(status), "reason": .string(reason), "message": .string(message)]
                        ],
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    ]
                ]
            ]
        )
    }

    /// Records the controller's event.
    func abnormalEvent(on claim: String, _ message: String) throws {
        let object = try server.object(kind: "PersistentVolumeClaim", namespace: "default", name: claim)
        try server.create([
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": .string("\(claim).1"), "namespace": "default"],
            "involvedObject": [
                "kind": "PersistentVolumeClaim", "namespace": "default", "name": .string(claim),
                "uid": object?["metadata", "uid"] ?? "",
            ],
            "reason": "VolumeConditionAbnormal", "message": .string(message), "type": "Warning", "count": 1,
            "source": ["component": "csi-pv-monitor-controller-hostpath.csi.k8s.io"],
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
        ])
    }

    /// Restricts the user to lists of these resources in the namespace default.
    func allow(_ resources: [String]) {
        let rule = PolicyRule(verbs: ["list"], apiGroups: [""], resources: resources, namespace: "default")
        server.users = [SimulatedAPIServer.adminToken: APIUser(name: "user", rules: [rule])]
    }
}

/// What a run has written.
private final class Texts: Sendable {
    private let text = Mutex("")

    var all: String { text.withLock { $0 } }

    func add(_ more: String) { text.withLock { $0 += more } }
}

/// - Parameters:
///   - isMonitored: whether the driver's controller has a Lease.
///   - sinceRenewal: the seconds since the Lease was renewed.
func withScene(
    isMonitored: Bool = true,
    sinceRenewal: Int64 = 0,
    _ body: (StatusScene) async throws -> Void
) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "st-\(UUID().uuidString.prefix(8))").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await SimulatedAPIServer.withServer { server in
        let scene = StatusScene(server: server, directory: directory)
        try server.writeKubeconfig(to: scene.kubeconfig)
        for number in 0..<3 { try VolumeFixture(number: number).create(in: server) }
        if isMonitored {
            try server.create([
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": ["namespace": "kube-system", "name": "external-health-monitor-leader-hostpath-csi-k8s-io"],
                "spec": [
                    "holderIdentity": "pod-0", "leaseDurationSeconds": 15,
                    "renewTime": .string(microTime(Time.now().seconds - sinceRenewal)),
                ],
            ])
        }
        try await body(scene)
    }
}

/// `metav1.MicroTime` in JSON.
private func microTime(_ seconds: Int64) -> String {
    Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601).replacing("Z", with: ".000000Z")
}
