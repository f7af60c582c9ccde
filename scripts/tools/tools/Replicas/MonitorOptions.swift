// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Which monitor to run, and how.
struct MonitorOptions: ParsableArguments {
    @Option(help: "The monitor's binary.")
    var monitor: String

    @Option(help: "Where sockets, kubeconfigs and logs go; by default a temporary directory, which is removed.")
    var directory: String?
}
