// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Subprocess
import SystemPackage

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

extension ExecPlugin {
    /// What a run has printed.
    struct Output: Sendable {
        var exitCode: CInt?
        var output: [UInt8]
        /// The beginning of standard error.
        var errors: String
    }

    /// How long a run may take. client-go sets no limit; here requests wait for it.
    static let timeLimit = Duration.seconds(30)
    /// The most bytes of an ExecCredential.
    static let outputLimit = 1 << 20
    /// The most bytes of standard error that are kept; what comes after them is read and forgotten.
    static let errorLimit = 4096

    /// Runs the program, without a shell and without standard input, in a session of its own, and waits for its end.
    ///
    /// Children that it leaves behind, an agent for instance, are not waited for.
    ///
    /// - Parameter timekeeper: measures the time limit.
    /// - Throws: ``KubernetesConfigurationError`` where it cannot be started, takes too long or prints too much; then it is
    ///   killed with all its children, as on cancellation.
    func run(_ timekeeper: Timekeeper) async throws(KubernetesConfigurationError) -> Output {
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
                    return try await Self.read(execution.standardOutput, execution.standardError, timekeeper)
                } catch {
                    // With its children.
                    try? execution.send(signal: .kill, toProcessGroup: true)
                    throw error
                }
            }
            // Killed by the cancellation, it has printed less than all.
            try Task.checkCancellation()
            var output = result.closureResult
            if case .exited(let code) = result.terminationStatus { output.exitCode = code }
            return output
        } catch let error as KubernetesConfigurationError {
            throw error
        } catch {
            // Names the program, and nothing that it has printed.
            throw self.error(.invalid, "failed to run: \(error)")
        }
    }

    /// An error whose message begins with the program's name.
    func error(_ code: KubernetesConfigurationError.Code, _ message: String) -> KubernetesConfigurationError {
        KubernetesConfigurationError(code: code, message: "credential plugin \(command) \(message)")
    }

    private func executable() throws(KubernetesConfigurationError) -> Executable {
        guard let path = candidates.first(where: { unsafe access($0, X_OK) == 0 }) else {
            let place = command.contains("/") ? "" : " on the PATH"
            let hint = installHint.map { ": \($0)" } ?? ""
            throw error(.missing, "was not found\(place), or is not executable\(hint)")
        }
        return .path(FilePath(path))
    }

    private var candidates: [String] {
        if command.contains("/") { return [command] }
        // The pointer is valid until the environment changes, which nothing does here; String copies it. As in Go's
        // os/exec, what is relative on the PATH does not count.
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
        return path.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(command)" }
    }

    private enum Part: Sendable {
        case output([UInt8])
        case errors(String)
        case timeIsOver
    }

    private static func read(
        _ output: SubprocessOutputSequence,
        _ errors: SubprocessOutputSequence,
        _ timekeeper: Timekeeper
    ) async throws -> Output {
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask { .output(try await bytes(of: output, limit: outputLimit, cutsOff: false)) }
            group.addTask {
                let bytes = try await bytes(of: errors, limit: errorLimit, cutsOff: true)
                return .errors(String(decoding: bytes, as: UTF8.self))
            }
            group.addTask {
                try await timekeeper.sleep(timeLimit)
                return .timeIsOver
            }
            defer { group.cancelAll() }
            var result = Output(exitCode: nil, output: [], errors: "")
            for _ in 0..<2 {
                switch try await group.next() {
                case .output(let bytes): result.output = bytes
                case .errors(let text): result.errors = text
                case .timeIsOver, nil:
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
        cutsOff: Bool
    ) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await buffer in sequence {
            let room = limit - bytes.count
            guard cutsOff || buffer.count <= room else {
                throw KubernetesConfigurationError(
                    code: .invalid,
                    message: "credential plugin printed more than \(limit) bytes"
                )
            }
            // Read within the call.
            if room > 0 { unsafe buffer.withUnsafeBytes { unsafe bytes.append(contentsOf: $0.prefix(room)) } }
        }
        return bytes
    }
}
