// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Subprocess
import SystemPackage

/// Runs programs of this machine for tests: kubectl, promtool, the monitor's binary.
package enum Tool {
    package struct Outcome: Sendable, Hashable {
        /// nil when a signal ended the program.
        package var exitCode: Int32?
        package var output: String
        /// Standard error.
        package var errors: String

        package init(exitCode: Int32?, output: String, errors: String) {
            self.exitCode = exitCode
            self.output = output
            self.errors = errors
        }
    }

    /// A program is not installed.
    package struct Missing: Error, CustomStringConvertible {
        package var description: String
    }

    /// The path of a program on the PATH.
    ///
    /// - Parameter package: the Debian package that contains it, for the error.
    package static func find(_ name: String, package: String) throws -> String {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let paths = directories.map { "\($0)/\(name)" }
        guard let path = paths.first(where: FileManager.default.isExecutableFile) else {
            throw Missing(description: "\(name) is not on the PATH: install Debian's package \(package)")
        }
        return path
    }

    /// Runs a program and waits for its end.
    ///
    /// - Parameters:
    ///   - environment: in addition to that of this process.
    ///   - input: its standard input.
    /// - Throws: when it cannot be started, or writes more than 16 MiB.
    package static func run(
        _ path: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String = ""
    ) async throws -> Outcome {
        let additions = environment.map { (Environment.Key(stringLiteral: $0.key), Optional($0.value)) }
        let result = try await Subprocess.run(
            .path(FilePath(path)),
            arguments: Arguments(arguments),
            environment: .inherit.updating(Dictionary(uniqueKeysWithValues: additions)),
            input: .string(input),
            output: .string(limit: 16 << 20),
            error: .string(limit: 16 << 20)
        )
        var exitCode: Int32?
        if case .exited(let code) = result.terminationStatus { exitCode = code }
        return Outcome(
            exitCode: exitCode,
            output: result.standardOutput,
            errors: result.standardError
        )
    }

    /// Runs a program while `body` runs, and ends it by SIGTERM.
    ///
    /// - Parameter environment: in addition to that of this process.
    /// - Returns: what `body` returns, and standard error.
    /// - Throws: what `body` throws; also when the program cannot be started, or writes more than 64 MiB.
    package static func run<Result: Sendable>(
        _ path: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        while body: @escaping @Sendable (_ processID: Int32) async throws -> Result
    ) async throws -> (result: Result, errors: String) {
        let additions = environment.map { (Environment.Key(stringLiteral: $0.key), Optional($0.value)) }
        let outcome = try await Subprocess.run(
            .path(FilePath(path)),
            arguments: Arguments(arguments),
            environment: .inherit.updating(Dictionary(uniqueKeysWithValues: additions)),
            input: .none,
            output: .discarded,
            error: .string(limit: 64 << 20)
        ) { execution in
            defer { try? execution.send(signal: .terminate) }
            return try await body(execution.processIdentifier.value)
        }
        return (outcome.closureResult, outcome.standardError)
    }
}
