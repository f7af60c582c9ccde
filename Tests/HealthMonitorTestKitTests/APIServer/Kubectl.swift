// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

@testable import HealthMonitorTestKit

/// Runs kubectl against a simulated API server, with its own home directory.
struct Kubectl {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let executable: String
    private let home: URL

    /// Runs `body` with a kubectl for the server.
    ///
    /// - Throws: when kubectl is not on the PATH.
    static func with(_ server: SimulatedAPIServer, _ body: (Kubectl) async throws -> Void) async throws {
        let executable = try Tool.find("kubectl", package: "kubernetes-client")
        let home = FileManager.default.temporaryDirectory.appending(path: "kubectl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: home) }
        try server.writeKubeconfig(to: home.appending(path: "config").path)
        try await body(Kubectl(executable: executable, home: home))
    }

    /// The standard output of kubectl.
    ///
    /// - Parameter input: a manifest, for `-f -`.
    /// - Throws: `Failure` with its standard error when its exit code is not 0.
    func callAsFunction(_ arguments: String..., input: String = "") async throws -> String {
        let environment = ["KUBECONFIG": home.appending(path: "config").path, "HOME": home.path]
        let result = try await Tool.run(executable, arguments, environment: environment, input: input)
        guard result.exitCode == 0 else {
            throw Failure(
                description:
                    "kubectl \(arguments.joined(separator: " ")): exit code \(result.exitCode ?? -1): \(result.errors)"
            )
        }
        return result.output
    }

    /// The standard output of kubectl, each line split into its columns, which two or more spaces separate.
    static func columns(_ output: String) -> [[String]] {
        output.split(separator: "\n").map { line in
            line.split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
    }
}
