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

    /// A program ended early, or what ran beside it failed.
    package struct Failure: Error, CustomStringConvertible {
        /// With the last part of standard error.
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

    /// Runs a program and waits for its end. It is run again after a failure by a limit, because on a busy machine the
    /// server may need more time: kubectl's that no flag changes, ten seconds for a TLS handshake (Go's net/http) and 32
    /// for each response of the discovery (k8s.io/client-go, discovery/discovery_client.go), and the defaults of `status`,
    /// 30 seconds to connect and 60 for each response.
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
        while true {
            let outcome = try await runOnce(path, arguments, environment: environment, input: input)
            let limits = [
                "net/http: TLS handshake timeout", "Client.Timeout exceeded while awaiting headers",
                "Client.Timeout or context cancellation while reading body", "http2: client connection lost",
                "not connected after 30.0 seconds", "not complete after 60.0 seconds",
            ]
            if outcome.exitCode == 0 || !limits.contains(where: outcome.errors.contains) { return outcome }
        }
    }

    private static func runOnce(
        _ path: String,
        _ arguments: [String],
        environment: [String: String],
        input: String
    ) async throws -> Outcome {
        let result = try await Subprocess.run(
            .path(FilePath(path)),
            arguments: Arguments(arguments),
            environment: inherited(adding: environment),
            input: .string(input),
            output: .string(limit: 16 << 20),
            error: .string(limit: 16 << 20)
        )
        return Outcome(
            exitCode: exitCode(result.terminationStatus),
            output: result.standardOutput,
            errors: result.standardError
        )
    }

    /// Runs a program while `body` runs, and ends it by SIGTERM. When the program ends first, `body` is cancelled: a poll
    /// in it needs ``cancellablePollingPause()``.
    ///
    /// - Parameter environment: in addition to that of this process.
    /// - Returns: what `body` returns, and standard error.
    /// - Throws: ``Failure`` when the program ends first or `body` throws; also when the program cannot be started, or
    ///   writes more than 64 MiB.
    package static func run<Value: Sendable>(
        _ path: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        while body: @escaping @Sendable (_ processID: Int32) async throws -> Value
    ) async throws -> (result: Value, errors: String) {
        let outcome = try await Subprocess.run(
            .path(FilePath(path)),
            arguments: Arguments(arguments),
            environment: inherited(adding: environment),
            input: .none,
            output: .sequence,
            error: .string(limit: 64 << 20)
        ) { execution in
            await withTaskGroup(of: Result<Value, any Error>?.self) { group in
                group.addTask {
                    do { return .success(try await body(execution.processIdentifier.value)) } catch {
                        return .failure(error)
                    }
                }
                group.addTask {
                    // Standard output ends with the program.
                    do { for try await _ in execution.standardOutput {} } catch {}
                    return nil
                }
                let first = await group.next() ?? nil
                // Otherwise the output is read to its end: the program may write after the signal.
                if first == nil { group.cancelAll() }
                try? execution.send(signal: .terminate)
                return first
            }
        }
        let errors = outcome.standardError
        switch outcome.closureResult {
        case .success(let value):
            return (value, errors)
        case .failure(let error):
            try Task.checkCancellation()
            throw Failure(description: "\(error); standard error of \(path): \(errors.suffix(10_000))")
        case nil:
            try Task.checkCancellation()
            let end = exitCode(outcome.terminationStatus).map { "exited with \($0)" } ?? "was ended by a signal"
            throw Failure(description: "\(path) \(end) before the test was done: \(errors.suffix(10_000))")
        }
    }

    /// nil: a signal ended the program.
    private static func exitCode(_ status: TerminationStatus) -> Int32? {
        if case .exited(let code) = status { code } else { nil }
    }

    /// The environment of this process with these variables.
    private static func inherited(adding variables: [String: String]) -> Environment {
        let additions = variables.map { (Environment.Key(stringLiteral: $0.key), Optional($0.value)) }
        return .inherit.updating(Dictionary(uniqueKeysWithValues: additions))
    }
}
