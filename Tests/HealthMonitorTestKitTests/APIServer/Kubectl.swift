// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

@testable import HealthMonitorTestKit

/// Runs kubectl against a simulated API server, with a home of its own.
struct Kubectl {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let executable: String
    private let home: URL

    /// Runs `body` with a kubectl for the server.
    ///
    /// - Throws: `Failure` when there is no kubectl on the PATH.
    static func with(_ server: SimulatedAPIServer, _ body: (Kubectl) async throws -> Void) async throws {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        guard
            let executable = directories.map({ "\($0)/kubectl" }).first(where: FileManager.default.isExecutableFile)
        else {
            throw Failure(
                description: "kubectl is not on the PATH: install Debian's package kubernetes-client "
                    + "(apt-get install kubernetes-client)"
            )
        }
        let home = FileManager.default.temporaryDirectory.appending(path: "kubectl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: home) }
        try server.writeKubeconfig(to: home.appending(path: "config").path)
        try await body(Kubectl(executable: executable, home: home))
    }

    /// What kubectl prints.
    ///
    /// - Parameter input: A manifest, for `-f -`.
    /// - Throws: `Failure` with what it said on standard error when it does not exit with 0.
    func callAsFunction(_ arguments: String..., input: String = "") async throws -> String {
        let name = UUID().uuidString
        func file(_ suffix: String, _ content: String = "") throws -> (url: URL, handle: FileHandle) {
            let url = home.appending(path: name + suffix)
            try Data(content.utf8).write(to: url)
            return (url, try FileHandle(forUpdating: url))
        }
        let (output, error) = (try file(".out"), try file(".err"))
        let process = Process()
        process.executableURL = URL(filePath: executable)
        process.arguments = arguments
        process.environment = ["KUBECONFIG": home.appending(path: "config").path, "HOME": home.path]
        process.standardInput = try file(".in", input).handle
        process.standardOutput = output.handle
        process.standardError = error.handle
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try process.run()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        guard status == 0 else {
            let message = try String(contentsOf: error.url, encoding: .utf8)
            throw Failure(description: "kubectl \(arguments.joined(separator: " ")): exit code \(status): \(message)")
        }
        return try String(contentsOf: output.url, encoding: .utf8)
    }

    /// What kubectl prints, each line cut into its columns (which two spaces or more keep apart).
    static func columns(_ output: String) -> [[String]] {
        output.split(separator: "\n").map { line in
            line.split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
    }
}
