// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import Synchronization

/// A server's connections and the tasks that answer their requests, so that both can be ended with it.
final class OpenConnections: Sendable {
    private struct State {
        var isClosed = false
        var accepted = 0
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Those of them that turned out to speak HTTP/2.
        var http2: Set<ObjectIdentifier> = []
        var nextTask = 0
        var tasks: [Int: Task<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    /// How many there were so far.
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
            self.state.withLock { state in
                state.channels[ObjectIdentifier(channel)] = nil
                state.http2.remove(ObjectIdentifier(channel))
            }
        }
    }

    /// Notes of a connection that it speaks HTTP/2.
    func addHTTP2(_ channel: any Channel) {
        state.withLock { state in
            if state.channels[ObjectIdentifier(channel)] != nil { state.http2.insert(ObjectIdentifier(channel)) }
        }
    }

    /// The connections that speak HTTP/2.
    var http2: [any Channel] {
        state.withLock { state in state.http2.compactMap { state.channels[$0] } }
    }

    /// Runs an exchange in a task, which is awaited by ``closeAll()``.
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

    /// Closes the connections that are open now, which cancels their exchanges.
    func cutAll() async {
        for channel in state.withLock({ Array($0.channels.values) }) { try? await channel.close() }
    }

    /// Closes all connections, and those to come, which cancels their exchanges, and waits for these.
    func closeAll() async {
        state.withLock { $0.isClosed = true }
        await cutAll()
        for task in state.withLock({ Array($0.tasks.values) }) {
            task.cancel()
            await task.value
        }
    }
}
