// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Whether memory and sweep time grow in proportion to the number of volumes.
struct GrowthScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "growth",
        abstract: "Measure memory, time and CPU of sweeps at growing numbers of volumes."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(parsing: .upToNextOption, help: "The numbers of volumes, in ascending order.")
    var volumes = [1000, 10_000, 100_000]

    @Option(help: "The seconds of continuous sweeps to measure for each.")
    var seconds = 5.0

    func validate() throws {
        guard (volumes.first ?? 0) > 0, zip(volumes, volumes.dropFirst()).allSatisfy(<) else {
            throw ValidationError("--volumes must be positive numbers in ascending order")
        }
    }

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var figures: [Figure] = []
        var previous: (volumes: Int, cost: SweepCost, memory: ProcessMemory)?
        for volumes in volumes {
            let (cost, memory) = try await withCluster(.init(volumes: volumes)) { cluster in
                try await sidecar.run(in: cluster, ["--list-volumes-interval=10ms"]) { process in
                    (try await cluster.costOfSweeps(of: process, seconds: seconds), try ProcessMemory(of: process))
                }
            }
            let subject = "\(grouped(volumes)) volumes"
            figures += [
                Figure("peak resident, \(subject)", memory.peakResident, .bytes),
                Figure("time of a sweep, \(subject)", cost.wallPerSweep, .seconds),
                Figure("CPU for each volume and sweep, \(subject)", cost.cpuPerVolume, .seconds),
            ]
            if let previous {
                let times = Double(volumes) / Double(previous.volumes)
                let growth = (memory.peakResident - previous.memory.peakResident) / Double(volumes - previous.volumes)
                let before = "\(grouped(previous.volumes)) volumes"
                figures += [
                    Figure("memory per further volume, from \(before) to \(subject)", growth, .bytes),
                    Figure(
                        "time per volume, relative to \(before): \(subject)",
                        cost.wallPerSweep / previous.cost.wallPerSweep / times,
                        .ratio
                    ),
                ]
            }
            previous = (volumes, cost, memory)
        }
        return figures
    }
}
