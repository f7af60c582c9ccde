// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Measures the memory, CPU time and durations of the commands that run in a cluster: docs/benchmarks.md.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the controller, the agent and `status` with a simulated cluster.",
        discussion: """
            Each scenario runs the program and the simulated cluster as separate processes, several times, and prints \
            medians and spreads as a Markdown table. Unlike memory and CPU time, durations are meaningful only when \
            nothing else runs on the machine.
            """,
        subcommands: [
            MemoryScenario.self, SweepScenario.self, StartupScenario.self, GetScenario.self, OutageScenario.self,
            ConcurrencyScenario.self, SteadyScenario.self, GrowthScenario.self, FailoverScenario.self,
            AgentScenario.self, StatusScenario.self, MachineCommand.self, BareSweep.self,
        ]
    )
}

/// Describes the machine that figures are measured on.
struct MachineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine",
        abstract: "Describe this machine and the versions of the sidecar's libraries."
    )

    func run() async throws {
        print(try await Machine.current().text)
    }
}
