// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Subprocess
import Synchronization
import SystemPackage

/// A replica of the monitor as a process: started, stopped, frozen and killed as a run likes.
final class ReplicaProcess: Sendable {
    private struct State {
        var signals: AsyncStream<Signal>.Continuation?
        var processID: Int32?
        /// Whether the end of the process was asked for.
        var mayEnd = false
        var failures: [String] = []
    }

    let identity: String
    private let path: String
    private let arguments: [String]
    private let log: String
    private let environments: AsyncStream<[String: String]>
    private let starts: AsyncStream<[String: String]>.Continuation
    private let state = Mutex(State())

    /// Not started yet.
    ///
    /// - Parameter log: the file that standard error goes to, of one process after the other.
    init(identity: String, path: String, arguments: [String], log: String) {
        self.identity = identity
        self.path = path
        self.arguments = arguments
        self.log = log
        (environments, starts) = AsyncStream.makeStream()
    }

    /// The process's number; nil while there is none.
    var processID: Int32? { state.withLock { $0.processID } }

    /// Processes that ended without having been asked to.
    var failures: [String] { state.withLock { $0.failures } }

    /// Starts a process, when the last one has ended.
    ///
    /// - Parameter environment: additions to ours. With some, the process is started by way of env(1): libfaketime, loaded
    ///   into the first program of a process, keeps Swift from reading its arguments.
    func start(environment: [String: String] = [:]) {
        starts.yield(environment)
    }

    /// Sends a signal to the process that runs, if one does.
    func send(_ signal: Signal) {
        state.withLock { state in
            if signal == .kill || signal == .terminate { state.mayEnd = true }
            state.signals?.yield(signal)
        }
    }

    /// Runs the processes that are started, one after the other, until it is cancelled, which kills the last.
    func run() async throws {
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        for await additions in environments {
            let (signals, continuation) = AsyncStream.makeStream(of: Signal.self)
            state.withLock { state in
                state.signals = continuation
                state.mayEnd = false
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
                if !state.mayEnd { state.failures.append("\(identity) ended: \(result.terminationStatus)") }
            }
        }
    }
}
