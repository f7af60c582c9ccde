// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// The options that `chaos` and `soak` share.
struct MonitorOptions: ParsableArguments {
    @Option(help: "The path of csi-health-monitor.")
    var monitor: String

    @Option(help: "The directory for sockets, kubeconfigs and logs; by default a temporary one, which is removed.")
    var directory: String?
}
