// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// All requests to a simulated server, in their order.
///
/// As an asynchronous sequence it has the records so far and then those to come, so that a test can wait for a request
/// without sleeping: `await server.journal.first { $0.request.verb == .create }`. It ends with the API server, and when
/// the task that iterates is cancelled.
package final class Journal<Record: Sendable>: AsyncSequence, Sendable {
    private struct State {
        var records: [Record] = []
        /// How many records ``takeAll()`` has removed.
        var taken = 0
        /// Readers that wait for the next record or the end; each stream ends once.
        var waiters: [AsyncStream<Void>.Continuation] = []
        var isFinished = false
    }

    private let state = Mutex(State())

    init() {}

    /// The records so far.
    package var records: [Record] {
        state.withLock { $0.records }
    }

    /// Removes and returns the records so far, so that a long run does not keep them all. An iteration continues with
    /// the next record.
    package func takeAll() -> [Record] {
        state.withLock { state in
            defer { state.records = [] }
            state.taken += state.records.count
            return state.records
        }
    }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let journal: Journal
        private var position: Int

        fileprivate init(journal: Journal, position: Int = 0) {
            self.journal = journal
            self.position = position
        }

        /// The next record; nil at the end.
        package mutating func next() async -> Record? {
            while !Task.isCancelled {
                switch journal.record(at: position) {
                case .present(let record, let next):
                    position = next
                    return record
                case .pending(let arrival):
                    for await _ in arrival {}
                case .end: return nil
                }
            }
            return nil
        }
    }

    /// Begins at the first record.
    package func makeAsyncIterator() -> Iterator {
        Iterator(journal: self)
    }

    /// The first record from now on that matches; nil at the end and on cancellation.
    package func next(where matches: (Record) -> Bool) async -> Record? {
        var iterator = Iterator(journal: self, position: state.withLock { $0.taken + $0.records.count })
        while let record = await iterator.next() {
            if matches(record) { return record }
        }
        return nil
    }

    func append(_ record: Record) {
        wake { $0.records.append(record) }
    }

    /// Ends the sequence.
    func finish() {
        wake { $0.isFinished = true }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.finish() }
    }

    private enum Position {
        /// The record, and the position of the next one.
        case present(Record, next: Int)
        /// The stream ends when there may be a record.
        case pending(AsyncStream<Void>)
        case end
    }

    private func record(at position: Int) -> Position {
        state.withLock { state in
            let index = Swift.max(position - state.taken, 0)
            if index < state.records.count {
                return .present(state.records[index], next: state.taken + index + 1)
            }
            if state.isFinished { return .end }
            let (arrival, waiter) = AsyncStream.makeStream(of: Void.self)
            state.waiters.append(waiter)
            return .pending(arrival)
        }
    }
}
