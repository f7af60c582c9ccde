// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// A binary to measure. It accepts the flags of external-health-monitor.
struct Sidecar: Sendable {
    /// In the table.
    let name: String
    let path: String

    /// Runs it in a cluster as a Deployment would, with leader election and an HTTP endpoint.
    ///
    /// - Parameters:
    ///   - name: its identity in the lease; by default the host's name.
    ///   - log: the file for its standard error; by default the cluster's log.
    ///   - body: gets its process id.
    func run<Result: Sendable>(
        in cluster: ClusterProcess,
        _ flags: [String] = [],
        named name: String? = nil,
        log: String? = nil,
        _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        let flags =
            [
                "--csi-address=\(cluster.socket)", "--kubeconfig=\(cluster.kubeconfig)", "--leader-election",
                "--leader-election-namespace=default", "--http-endpoint=127.0.0.1:0",
            ] + flags
        return try await withProcess(
            path,
            flags,
            environment: name.map { ["POD_NAME": $0] } ?? [:],
            log: log ?? cluster.log,
            body
        )
    }
}
