// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Whether every volume is probed once in each interval with a driver that cannot list volumes.
struct GetScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Measure the gaps between calls for each volume with a driver that cannot list volumes."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes.")
    var volumes = 2000

    @Option(help: "The latency of the driver's calls, in milliseconds.")
    var latency = 50

    @Option(help: "--monitor-interval in seconds; by default it is omitted, and 1 minute applies.")
    var interval: Int?

    @Option(help: "The number of intervals to measure.")
    var intervals = 3

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        let length = Double(interval ?? 60)
        // Shorter intervals vary too much.
        let isTarget = interval == nil
        return try await withCluster(.init(volumes: volumes, hasLists: false)) { cluster in
            try await cluster.setLatency(milliseconds: latency)
            let flags = interval.map { ["--monitor-interval=\($0)s"] } ?? []
            let method = cluster.configuration.generation.getMethod
            let gaps = try await sidecar.run(in: cluster, flags) { process in
                try await cluster.wait(for: method, count: 1, by: process)
                let begin = try await cluster.calls(method)[0].time
                let end = begin + Double(intervals) * length
                try await poll(for: "end of the measurement", by: process, within: .seconds(end - begin + 60)) {
                    ClusterProcess.now >= end
                }
                return CallGaps(try await cluster.calls(method), volumes: volumes, observed: begin...end)
            }
            return [
                Figure(
                    "volumes without a call for more than 1.1 intervals",
                    Double(gaps.count(longerThan: 1.1 * length)),
                    .count,
                    target: isTarget ? 0 : nil
                ),
                Figure(
                    "longest gap, in intervals",
                    (gaps.longest.last ?? 0) / length,
                    .ratio,
                    target: isTarget ? 1.1 : nil
                ),
                Figure("shortest gap, in intervals", (gaps.shortest ?? 0) / length, .ratio),
            ]
        }
    }
}
