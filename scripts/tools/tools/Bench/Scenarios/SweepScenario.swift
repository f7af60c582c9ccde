// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// The cost of a sweep, against receiving and decoding the same pages only.
struct SweepScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract:
            "Measure CPU time for each volume and sweep with a healthy legacy driver, against a bare reader."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes.")
    var volumes = 20_000

    @Option(help: "The seconds of continuous sweeps to measure.")
    var seconds = 10.0

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        try await withCluster(.init(volumes: volumes)) { cluster in
            let own = try await sidecar.run(in: cluster, ["--list-volumes-interval=10ms"]) { process in
                try await cluster.costOfSweeps(of: process, seconds: seconds)
            }
            let bare = try await BareSweep.run(in: cluster) { process in
                try await cluster.costOfSweeps(of: process, seconds: seconds)
            }
            return [
                Figure("CPU for each volume and sweep", own.cpuPerVolume, .seconds),
                Figure("CPU of a bare reader for the same", bare.cpuPerVolume, .seconds),
                Figure(
                    "CPU, times the bare reader's",
                    own.cpuPerVolume / bare.cpuPerVolume,
                    .ratio,
                    target: volumes == 20_000 ? 1.0 : nil
                ),
                Figure("time of a sweep", own.wallPerSweep, .seconds),
                Figure("time of a bare sweep", bare.wallPerSweep, .seconds),
            ]
        }
    }
}

/// The average cost of sweeps.
struct SweepCost {
    let cpuPerVolume: Double
    let wallPerSweep: Double
}

extension ClusterProcess {
    /// Measures a process that sweeps without a pause, alone, after its second sweep, for some seconds and at least three
    /// sweeps. The error is at most one page at each end.
    func costOfSweeps(of process: Int32, seconds: Double) async throws -> SweepCost {
        let method = configuration.generation.listMethod
        // Calls of processes that were measured before count too.
        let start = try await callCount(method)
        try await wait(for: method, count: start + 2 * callsPerSweep + 1, by: process, within: .seconds(600))
        let before = (cpu: try ProcessTime(of: process), calls: try await callCount(method), time: Self.now)
        try await poll(for: "end of the measurement", by: process, within: .seconds(600 + seconds)) {
            guard Self.now - before.time >= seconds else { return false }
            return try await callCount(method) - before.calls >= 3 * callsPerSweep
        }
        let after = (cpu: try ProcessTime(of: process), calls: try await callCount(method), time: Self.now)
        let sweeps = Double(after.calls - before.calls) / Double(callsPerSweep)
        return SweepCost(
            cpuPerVolume: (after.cpu.seconds - before.cpu.seconds) / sweeps / Double(configuration.volumes),
            wallPerSweep: (after.time - before.time) / sweeps
        )
    }
}
