// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Resident memory at rest and at its peak, by the number of volumes and the driver's health RPCs.
struct MemoryScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "memory",
        abstract: "Measure the peak and steady resident memory of a sidecar that lists healthy volumes."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(parsing: .upToNextOption, help: "The numbers of volumes, in ascending order.")
    var volumes = [10, 2000, 20_000, 100_000]

    @Option(parsing: .upToNextOption, help: "The driver's health RPCs: legacy, health.")
    var generations = ClusterProcess.Generation.allCases

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var figures: [Figure] = []
        for generation in generations {
            var previous: (volumes: Int, memory: ProcessMemory)?
            for volumes in volumes {
                let memory = try await withCluster(.init(volumes: volumes, generation: generation)) { cluster in
                    try await sidecar.run(in: cluster, ["--list-volumes-interval=1s"]) { process in
                        try await cluster.memoryAtRest(of: process)
                    }
                }
                let subject = "\(grouped(volumes)) volumes, \(generation.rawValue) driver"
                figures += [
                    Figure(
                        "peak resident, \(subject)",
                        memory.peakResident,
                        .bytes,
                        target: [20_000: 40e6, 100_000: 80e6][volumes]
                    ),
                    Figure("resident at rest, \(subject)", memory.resident, .bytes),
                    Figure("of that no page of a file, \(subject)", memory.anonymous, .bytes),
                    Figure(
                        "peak above rest, \(subject)",
                        memory.peakResident - memory.resident,
                        .bytes,
                        target: 10e6
                    ),
                ]
                if let previous, previous.volumes >= 1000 {
                    let growth = memory.peakResident - previous.memory.peakResident
                    figures.append(
                        Figure(
                            "growth for each volume from \(grouped(previous.volumes)) to \(subject)",
                            growth / Double(volumes - previous.volumes),
                            .bytes,
                            target: volumes == 100_000 ? 400 : nil
                        )
                    )
                }
                previous = (volumes, memory)
            }
        }
        return figures
    }
}

extension ClusterProcess {
    /// The number of calls for a list of all volumes.
    var callsPerSweep: Int {
        guard configuration.generation == .legacy else { return 1 }
        return max(1, (configuration.volumes + configuration.pageSize - 1) / configuration.pageSize)
    }

    /// The memory of a sidecar after its third list of all volumes.
    func memoryAtRest(of process: Int32) async throws -> ProcessMemory {
        let calls = 3 * callsPerSweep + 1
        try await wait(for: configuration.generation.listMethod, count: calls, by: process, within: .seconds(600))
        return try ProcessMemory(of: process)
    }
}
