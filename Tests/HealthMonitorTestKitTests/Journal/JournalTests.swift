// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite(.timeLimit(.minutes(50))) struct JournalTests {
    @Test func `every reader gets past and future records`() async {
        let journal = Journal<Int>()
        journal.append(1)
        await withTaskGroup(of: [Int].self) { readers in
            for _ in 0..<3 {
                readers.addTask { await journal.reduce(into: []) { $0.append($1) } }
            }
            journal.append(2)
            await Task.yield()
            journal.append(3)
            journal.finish()
            for await read in readers { #expect(read == [1, 2, 3]) }
        }
        #expect(journal.records == [1, 2, 3])
    }

    @Test func `a reader of a finished journal does not wait`() async {
        let journal = Journal<Int>()
        journal.append(1)
        journal.finish()
        var iterator = journal.makeAsyncIterator()
        #expect(await iterator.next() == 1)
        #expect(await iterator.next() == nil)
    }

    @Test func `a waiting reader ends on cancellation`() async {
        let journal = Journal<Int>()
        let reader = Task { await journal.first { _ in true } }
        reader.cancel()
        #expect(await reader.value == nil)
    }
}
