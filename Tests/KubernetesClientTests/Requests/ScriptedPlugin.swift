// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesAPI

@testable import KubernetesClient

/// A credential plugin that is a shell script.
enum ScriptedPlugin {
    static let v1 = "client.authentication.k8s.io/v1"

    /// A script that appends a line to `runs` at each run, and prints an ExecCredential with the content of `status`.
    ///
    /// - Parameters:
    ///   - status: by default a token of the administrator.
    ///   - wait: a command in between.
    static func make(
        in directory: String,
        status: String = token(SimulatedAPIServer.adminToken),
        wait: String = ":"
    ) throws -> ExecPlugin {
        try write(status, to: "\(directory)/status")
        let script = """
            echo run >> '\(directory)/runs'
            \(wait)
            status=$(cat '\(directory)/status')
            echo "the status is $status" >&2
            printf '{"kind": "ExecCredential", "apiVersion": "\(v1)", "status": %s}' "$status"
            """
        try write(script, to: "\(directory)/plugin")
        return ExecPlugin(
            apiVersion: v1,
            command: "/bin/sh",
            arguments: ["\(directory)/plugin"],
            environment: [:],
            info: "{}"
        )
    }

    /// How often it has run, or begun to.
    static func runs(in directory: String) -> Int {
        (try? String(contentsOfFile: "\(directory)/runs", encoding: .utf8))?.split(separator: "\n").count ?? 0
    }

    /// The status of a plugin that returns a token.
    static func token(_ token: String) -> String { #"{"token": "\#(token)"}"# }
}

/// A request with the cluster's client.
@discardableResult
func getLease(_ cluster: TestCluster) async throws -> Lease {
    try await cluster.client.get(name: "lock", namespace: "default")
}
