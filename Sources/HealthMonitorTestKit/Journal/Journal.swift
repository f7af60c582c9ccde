// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Everything that a simulated server was asked, in its order.
///
/// As an asynchronous sequence it gives the records so far and then those to come, so that waiting for a request
/// needs no sleep: `await server.journal.first { $0.request.verb == .create }`. It ends with the server, if that ends
/// for good, and when the task that iterates is cancelled.
package final class Journal<Record: Sendable>: AsyncSequence, Sendable {
    private struct State {
        var records: [Record] = []
        /// How many records before those were taken out.
        var taken = 0
        /// Readers that wait; each is reported once, of the next record or of the end.
        var waiters: [AsyncStream<Void>.Continuation] = []
        var isFinished = false
    }

    private let state = Mutex(State())

    init() {}

    /// The records so far.
    package var records: [Record] {
        state.withLock { $0.records }
    }

    /// Takes the records so far out, so that a long run does not keep them all. Who iterates goes on with the next one.
    package func takeAll() -> [Record] {
        state.withLock { state in
            defer { state.records = [] }
            state.taken += state.records.count
            return state.records
        }
    }

    /// Reads the records one by one, and waits for those to come.
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
                case .there(let record, let next):
                    position = next
                    return record
                case .toCome(let arrival):
                    for await _ in arrival {}
                case .never: return nil
                }
            }
            return nil
        }
    }

    /// Starts at the first record.
    package func makeAsyncIterator() -> Iterator {
        Iterator(journal: self)
    }

    /// The first record to come from now on that is so; nil at the end and on cancellation.
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

    /// Nothing comes any more.
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
        /// The record, and the position of the next.
        case there(Record, next: Int)
        /// Ends when there may be more.
        case toCome(AsyncStream<Void>)
        case never
    }

    private func record(at position: Int) -> Position {
        state.withLock { state in
            let index = Swift.max(position - state.taken, 0)
            if index < state.records.count {
                return .there(state.records[index], next: state.taken + index + 1)
            }
            if state.isFinished { return .never }
            let (arrival, waiter) = AsyncStream.makeStream(of: Void.self)
            state.waiters.append(waiter)
            return .toCome(arrival)
        }
    }
}
