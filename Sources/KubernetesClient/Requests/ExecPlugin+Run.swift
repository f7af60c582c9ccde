// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Subprocess
import SystemPackage

extension ExecPlugin {
    /// The result of a run.
    struct Output: Sendable {
        /// nil if a signal ended the process.
        var exitCode: CInt?
        var output: [UInt8]
        /// The beginning of standard error, up to ``errorLimit``.
        var errors: String

        /// Whether ``errors`` may end within a word.
        var mayBeCut: Bool { errors.utf8.count >= ExecPlugin.errorLimit }
    }

    /// The time limit of a run. client-go has none.
    static let timeLimit = Duration.seconds(30)
    /// The maximum length of standard output, in bytes.
    static let outputLimit = 1 << 20
    /// How many bytes of standard error are kept. The rest is read and discarded.
    static let errorLimit = 4096

    /// Runs the program, without a shell and without standard input, in a new session, and waits for its end. Children
    /// that outlive it, such as an agent, are not waited for.
    ///
    /// - Parameter clock: measures the time limit.
    /// - Throws: ``KubernetesConfigurationError`` if it cannot be started, takes too long or prints too much. Then, and
    ///   on cancellation, it is killed with all its children.
    func run(_ clock: any Clock<Duration>) async throws(KubernetesConfigurationError) -> Output {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [.send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)]
        var variables = environment
        variables["KUBERNETES_EXEC_INFO"] = info
        let updates = variables.map { (Environment.Key(stringLiteral: $0.key), Optional($0.value)) }
        do {
            let result = try await Subprocess.run(
                executable(),
                arguments: Arguments(arguments),
                environment: .inherit.updating(Dictionary(uniqueKeysWithValues: updates)),
                platformOptions: options,
                input: .none,
                output: .sequence,
                error: .sequence
            ) { execution in
                do {
                    return try await Self.read(execution.standardOutput, execution.standardError, clock)
                } catch {
                    // The process and its children.
                    try? execution.send(signal: .kill, toProcessGroup: true)
                    throw error
                }
            }
            // On cancellation it was killed, and its output is incomplete.
            try Task.checkCancellation()
            var output = result.closureResult
            if case .exited(let code) = result.terminationStatus { output.exitCode = code }
            return output
        } catch let error as KubernetesConfigurationError {
            throw error
        } catch {
            // The message contains the program's name, and none of its output.
            throw self.error(.invalid, "failed to run: \(error)")
        }
    }

    /// An error that names the program.
    func error(_ code: KubernetesConfigurationError.Code, _ message: String) -> KubernetesConfigurationError {
        KubernetesConfigurationError(code: code, message: "credential plugin \(command) \(message)")
    }

    private func executable() throws(KubernetesConfigurationError) -> Executable {
        guard let path = candidates.first(where: Self.isExecutable) else {
            let place = command.contains("/") ? "" : " in PATH"
            let hint = installHint.map { ": \($0)" } ?? ""
            throw error(.missing, "was not found\(place), or is not executable\(hint)")
        }
        return .path(FilePath(path))
    }

    /// As in Go's os/exec, a directory is none, although it may be searched.
    private static func isExecutable(_ path: String) -> Bool {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { return false }
        return unsafe access(path, X_OK) == 0
    }

    private var candidates: [String] {
        if command.contains("/") { return [command] }
        // getenv(3): the pointer is valid until the environment changes, which this process never does; String copies
        // the text. As in Go's os/exec, relative entries of PATH are skipped.
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
        return path.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(command)" }
    }

    private enum Part: Sendable {
        case output([UInt8])
        case errors(String)
        case timedOut
    }

    private static func read(
        _ output: SubprocessOutputSequence,
        _ errors: SubprocessOutputSequence,
        _ clock: any Clock<Duration>
    ) async throws -> Output {
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask { .output(try await bytes(of: output, limit: outputLimit, truncates: false)) }
            group.addTask {
                let bytes = try await bytes(of: errors, limit: errorLimit, truncates: true)
                return .errors(String(decoding: bytes, as: UTF8.self))
            }
            group.addTask {
                try await clock.sleep(for: timeLimit)
                return .timedOut
            }
            defer { group.cancelAll() }
            var result = Output(exitCode: nil, output: [], errors: "")
            for _ in 0..<2 {
                switch try await group.next() {
                case .output(let bytes): result.output = bytes
                case .errors(let text): result.errors = text
                case .timedOut, nil:
                    throw KubernetesConfigurationError(
                        code: .invalid,
                        message: "credential plugin did not end within \(timeLimit)"
                    )
                }
            }
            return result
        }
    }

    private static func bytes(
        of sequence: SubprocessOutputSequence,
        limit: Int,
        truncates: Bool
    ) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await buffer in sequence {
            // A read that finds data does not notice the cancellation, and a plugin may print without an end.
            try Task.checkCancellation()
            let room = limit - bytes.count
            guard truncates || buffer.count <= room else {
                throw KubernetesConfigurationError(
                    code: .invalid,
                    message: "credential plugin printed more than \(limit) bytes"
                )
            }
            // The pointer is used within the closure only.
            if room > 0 { unsafe buffer.withUnsafeBytes { unsafe bytes.append(contentsOf: $0.prefix(room)) } }
        }
        return bytes
    }
}
