// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// The steady state: after the first sweep, with default intervals, while volumes stay healthy.
struct SteadyScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "steady",
        abstract: "Measure API writes and CPU of a sidecar while volumes stay healthy."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes.")
    var volumes = 20_000

    @Option(help: "--list-volumes-interval in seconds; by default it is omitted, and 5 minutes apply.")
    var interval: Int?

    @Option(help: "The number of intervals to measure, each with one sweep.")
    var intervals = 1

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        let length = interval ?? 300
        return try await withCluster(.init(volumes: volumes)) { cluster in
            let flags = interval.map { ["--list-volumes-interval=\($0)s"] } ?? []
            return try await sidecar.run(in: cluster, flags) { process in
                let method = cluster.configuration.generation.listMethod
                try await cluster.wait(for: method, count: cluster.callsPerSweep, by: process, within: .seconds(600))
                // From the middle between two sweeps to the middle between two others.
                try await ContinuousClock().sleep(for: .seconds(length) / 2)
                let before = (try ProcessTime(of: process).seconds, try await cluster.requests(), ClusterProcess.now)
                try await ContinuousClock().sleep(for: .seconds(length * intervals))
                let after = (try ProcessTime(of: process).seconds, try await cluster.requests(), ClusterProcess.now)
                let share = (after.0 - before.0) / (after.2 - before.2)
                let writes = Double(after.1.writes - before.1.writes)
                return [
                    Figure("API writes without the lease", writes, .count, target: 0),
                    Figure("share of a core", share, .ratio, target: length == 300 ? 0.01 : nil),
                    Figure("resident", try ProcessMemory(of: process).resident, .bytes),
                ]
            }
        }
    }
}
