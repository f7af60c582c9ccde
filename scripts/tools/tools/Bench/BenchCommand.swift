// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Measures a sidecar against the simulated cluster: memory, CPU and time, as docs/benchmarks.md lists them.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures a health monitor sidecar against the simulated cluster.",
        discussion: """
            Each scenario runs the sidecar and the simulated cluster as processes of their own, some times, and prints \
            medians and spreads as a Markdown table. Times are of the whole machine: they mean something only when \
            nothing else runs. Memory and CPU time do not mind.
            """,
        subcommands: [
            MemoryScenario.self, SweepScenario.self, StartupScenario.self, GetScenario.self, OutageScenario.self,
            ConcurrencyScenario.self, SteadyScenario.self, GrowthScenario.self, FailoverScenario.self,
            MachineCommand.self, BareSweep.self,
        ]
    )
}

/// What the figures were taken on.
struct MachineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine",
        abstract: "Describes this machine and the versions of what the sidecar is made of."
    )

    func run() async throws {
        print(try await Machine.current().text)
    }
}
