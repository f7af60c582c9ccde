// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Subprocess
import Synchronization
import SystemPackage

/// A replica of the monitor as a process that can be started, stopped, frozen and killed.
final class ReplicaProcess: Sendable {
    private struct State {
        var signals: AsyncStream<Signal>.Continuation?
        var processID: Int32?
        /// Whether a signal to end was sent to the process.
        var isEndExpected = false
        var failures: [String] = []
    }

    let identity: String
    private let path: String
    private let arguments: [String]
    private let log: String
    private let environments: AsyncStream<[String: String]>
    private let starts: AsyncStream<[String: String]>.Continuation
    private let state = Mutex(State())

    /// Prepares a replica; ``start(environment:)`` starts it.
    ///
    /// - Parameter log: the file for standard error of all its processes.
    init(identity: String, path: String, arguments: [String], log: String) {
        self.identity = identity
        self.path = path
        self.arguments = arguments
        self.log = log
        (environments, starts) = AsyncStream.makeStream()
    }

    /// nil while no process runs.
    var processID: Int32? { state.withLock { $0.processID } }

    /// Unexpected ends of processes.
    var failures: [String] { state.withLock { $0.failures } }

    /// Starts a process as soon as the last one has ended.
    ///
    /// - Parameter environment: in addition to that of this process. If it is not empty, env(1) starts the program:
    ///   with libfaketime in the first program of a process, Swift cannot read its arguments.
    func start(environment: [String: String] = [:]) {
        starts.yield(environment)
    }

    /// Sends a signal to the running process, if there is one.
    func send(_ signal: Signal) {
        state.withLock { state in
            if signal == .kill || signal == .terminate { state.isEndExpected = true }
            state.signals?.yield(signal)
        }
    }

    /// Runs the started processes one after the other, until it is cancelled, which kills the last.
    func run() async throws {
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        for await additions in environments {
            let (signals, continuation) = AsyncStream.makeStream(of: Signal.self)
            state.withLock { state in
                state.signals = continuation
                state.isEndExpected = false
            }
            var environment: [Environment.Key: String?] = ["POD_NAME": identity]
            for (key, value) in additions { environment[Environment.Key(stringLiteral: key)] = value }
            let result = try await Subprocess.run(
                .path(additions.isEmpty ? FilePath(path) : "/usr/bin/env"),
                arguments: Arguments(additions.isEmpty ? arguments : [path] + arguments),
                environment: .inherit.updating(environment),
                input: .none,
                output: .discarded,
                error: .sequence
            ) { execution in
                self.state.withLock { $0.processID = execution.processIdentifier.value }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        // Ends with the process.
                        for try await buffer in execution.standardError {
                            file.write(unsafe buffer.withUnsafeBytes { unsafe Data($0) })
                        }
                    }
                    group.addTask { for await signal in signals { try? execution.send(signal: signal) } }
                    try await group.next()
                    group.cancelAll()
                }
            }
            state.withLock { state in
                (state.signals, state.processID) = (nil, nil)
                if !state.isEndExpected { state.failures.append("\(identity) ended: \(result.terminationStatus)") }
            }
        }
    }
}
