// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Proves on real processes what a health monitor promises, by breaking everything around it.
@main
struct ChaosTester: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos-tester",
        abstract: "Runs replicas of the monitor against a simulated cluster in which things go wrong.",
        subcommands: [ChaosRun.self, SoakRun.self]
    )
}

/// Which monitor to run, and how.
struct MonitorOptions: ParsableArguments {
    @Option(help: "The monitor's binary.")
    var monitor: String

    @Option(help: "Where sockets, kubeconfigs and logs go; by default a temporary directory, which is removed.")
    var directory: String?
}
