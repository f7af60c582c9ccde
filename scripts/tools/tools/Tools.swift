// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// What the demo, the chaos and soak tests and the benchmarks run: see the scripts of these names.
@main
struct Tools: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools",
        abstract: "Simulates a cluster, and tests and measures the health monitor in it.",
        subcommands: [ClusterCommand.self, ChaosCommand.self, SoakCommand.self, BenchCommand.self]
    )
}
