// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// What a sidecar does when nothing happens: with default intervals, and after its first sweep.
struct SteadyScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "steady",
        abstract: "API writes and CPU of a sidecar whose volumes stay healthy."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "How many volumes there are.")
    var volumes = 20_000

    @Option(help: "Another --list-volumes-interval than the default of 5 minutes, in seconds.")
    var interval: Int?

    @Option(help: "How many intervals are watched, each with one sweep.")
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
                    Figure("API writes but for the lease", writes, .count, target: 0),
                    Figure("share of a core", share, .ratio, target: length == 300 ? 0.01 : nil),
                    Figure("resident", try ProcessMemory(of: process).resident, .bytes),
                ]
            }
        }
    }
}
