// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOSSL
import Synchronization

/// The open connections of a server and the tasks that serve their requests, so that the server can end both.
final class TestHTTPConnections: Sendable {
    private struct State {
        var isClosed = false
        var accepted = 0
        var channels: [ObjectIdentifier: any Channel] = [:]
        var nextTask = 0
        var tasks: [Int: Task<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    /// How many connections were accepted so far.
    var accepted: Int { state.withLock { $0.accepted } }

    /// Keeps a connection until it closes.
    func add(_ channel: any Channel) {
        let isClosed = state.withLock { state in
            state.accepted += 1
            if !state.isClosed { state.channels[ObjectIdentifier(channel)] = channel }
            return state.isClosed
        }
        if isClosed { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
        }
    }

    /// Serves a request in a task, which ``closeAll()`` awaits.
    func run(_ operation: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        state.withLock { state in
            let id = state.nextTask
            state.nextTask += 1
            let task = Task {
                await operation()
                self.state.withLock { $0.tasks[id] = nil }
            }
            state.tasks[id] = task
            return task
        }
    }

    /// Closes the open connections, which cancels their requests.
    func cutAll() async {
        let closings = state.withLock { Array($0.channels.values) }.map(Self.cut)
        for closing in closings { try? await closing.get() }
    }

    /// Closes below TLS: NIOSSL would wait five seconds for the close_notify of a client that does not read.
    private static func cut(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.flatSubmit {
            let promise = channel.eventLoop.makePromise(of: Void.self)
            if let tls = try? channel.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) {
                tls.close(promise: promise)
            } else {
                channel.close(promise: promise)
            }
            return promise.futureResult
        }
    }

    /// Closes all connections, also new ones, cancels their requests and waits for these.
    func closeAll() async {
        state.withLock { $0.isClosed = true }
        await cutAll()
        for task in state.withLock({ Array($0.tasks.values) }) {
            task.cancel()
            await task.value
        }
    }
}
