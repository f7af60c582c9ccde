// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Subprocess
import SystemPackage

/// Runs a program while `body` runs, which gets its process id. Then ends it by SIGTERM, and by SIGKILL five seconds
/// later.
///
/// - Parameters:
///   - environment: in addition to that of this process.
///   - log: the file that its standard error is appended to.
func withProcess<Result: Sendable>(
    _ path: String,
    _ arguments: [String],
    environment: [String: String] = [:],
    log: String,
    _ body: (Int32) async throws -> Result
) async throws -> Result {
    let errors = try FileDescriptor.open(
        FilePath(log),
        .writeOnly,
        options: [.create, .append],
        permissions: .ownerReadWrite
    )
    let outcome = try await Subprocess.run(
        .path(FilePath(path)),
        arguments: Arguments(arguments),
        environment: .inherit.updating(
            Dictionary(uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0), $1) })
        ),
        input: .none,
        output: .discarded,
        error: .fileDescriptor(errors, closeAfterSpawningProcess: true)
    ) { execution in
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(execution.processIdentifier.value))
        } catch {
            result = .failure(error)
        }
        await execution.teardown(using: [.gracefulShutDown(allowedDurationToNextStep: .seconds(5))])
        return result
    }
    return try outcome.closureResult.get()
}

/// Runs a program, by its path or its name on the PATH, and returns its standard output.
///
/// - Throws: ``ToolError`` when it fails.
func output(of name: String, _ arguments: [String]) async throws -> String {
    let outcome = try await Subprocess.run(
        name.contains("/") ? .path(FilePath(name)) : .name(name),
        arguments: Arguments(arguments),
        output: .string(limit: 1 << 20),
        error: .string(limit: 1 << 20)
    )
    guard outcome.terminationStatus.isSuccess else {
        throw ToolError(message: "\(name) \(arguments.joined(separator: " ")): \(outcome.standardError)")
    }
    return outcome.standardOutput
}

/// The path of this program, to run another of its subcommands (proc(5)).
func pathOfThisProgram() throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
}

/// A program failed.
struct ToolError: Error, CustomStringConvertible {
    let message: String

    var description: String { message }
}
