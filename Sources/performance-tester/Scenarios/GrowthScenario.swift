// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Whether memory and sweeps grow in proportion to the number of volumes.
struct GrowthScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "growth",
        abstract: "Memory, time and CPU of sweeps at numbers of volumes that grow."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(parsing: .upToNextOption, help: "Numbers of volumes, in ascending order.")
    var volumes = [1000, 10_000, 100_000]

    @Option(help: "Seconds of sweep after sweep that are measured for each.")
    var seconds = 5.0

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var figures: [Figure] = []
        for volumes in volumes {
            figures += try await withCluster(.init(volumes: volumes)) { cluster in
                try await sidecar.run(in: cluster, ["--list-volumes-interval=1ms"]) { process in
                    let cost = try await cluster.costOfSweeps(of: process, seconds: seconds)
                    let memory = try ProcessMemory(of: process)
                    let subject = "\(grouped(volumes)) volumes"
                    return [
                        Figure("peak resident, \(subject)", memory.peakResident, .bytes),
                        Figure("time of a sweep, \(subject)", cost.wallPerSweep, .seconds),
                        Figure("CPU for each volume and sweep, \(subject)", cost.cpuPerVolume, .seconds),
                    ]
                }
            }
        }
        return figures
    }
}
