// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// How long `csi-health-monitor status` takes for all namespaces, while a controller monitors the volumes.
struct StatusScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Measure the status command, with a tenth of the volumes unhealthy."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes, each with a claim.")
    var volumes = 20_000

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        let unhealthy = volumes / 10
        let flags = ["--kube-api-qps=10000", "--kube-api-burst=10000"]
        return try await withCluster(.init(volumes: volumes)) { cluster in
            try await cluster.makeAbnormal(unhealthy, ownMessages: true)
            return try await sidecar.run(in: cluster, flags) { process in
                try await poll(for: "\(unhealthy) events", by: process, within: .seconds(300)) {
                    try await cluster.events("VolumeConditionAbnormal").objects >= unhealthy
                }
                let start = ClusterProcess.now
                let arguments = ["status", "--all-namespaces", "--no-headers", "--kubeconfig=\(cluster.kubeconfig)"]
                let table = try await output(of: sidecar.path, arguments)
                let time = ClusterProcess.now - start
                let rows = table.split(separator: "\n").count
                return [
                    Figure("unhealthy claims not shown", Double(unhealthy - rows), .count, target: 0),
                    Figure("status of all namespaces", time, .seconds, target: volumes == 20_000 ? 2 : nil),
                ]
            }
        }
    }
}
