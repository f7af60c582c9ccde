// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// One request as it was served.
public struct RequestRecord: Sendable {
    /// What was asked.
    public var request: APIRequest
    /// The HTTP status of the answer; nil when the connection was cut instead.
    public var code: Int?
}

/// Every request that the server has served, in the order of its answers.
///
/// As an asynchronous sequence it gives the records so far and then those to come, so that waiting for a request
/// needs no sleep: `await server.journal.first { $0.request.verb == .create }`. It ends when the server stops.
/// A record is there before the client has its answer; that of a watch, when the watch has begun.
public final class RequestJournal: AsyncSequence, Sendable {
    private struct State {
        var records: [RequestRecord] = []
        var readers: [Int: AsyncStream<RequestRecord>.Continuation] = [:]
        var nextReader = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    init() {}

    /// The records so far.
    public var records: [RequestRecord] {
        state.withLock { $0.records }
    }

    /// Starts at the first record.
    public func makeAsyncIterator() -> AsyncStream<RequestRecord>.Iterator {
        let (stream, continuation) = AsyncStream.makeStream(of: RequestRecord.self)
        let number = state.withLock { state in
            for record in state.records { continuation.yield(record) }
            if state.isFinished { continuation.finish() }
            state.nextReader += 1
            state.readers[state.nextReader] = continuation
            return state.nextReader
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.readers.removeValue(forKey: number) }
        }
        return stream.makeAsyncIterator()
    }

    func append(_ record: RequestRecord) {
        state.withLock { state in
            state.records.append(record)
            for reader in state.readers.values { reader.yield(record) }
        }
    }

    func finish() {
        let readers = state.withLock { state in
            state.isFinished = true
            return state.readers.values.map { $0 }
        }
        for reader in readers { reader.finish() }
    }
}
