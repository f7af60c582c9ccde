// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Pauses between two polls of a condition that nothing signals, so that other tasks run.
///
/// It waits for a task of low priority, which runs on threads of its own: a poll that only yielded would take the
/// threads of the concurrency pool from the tasks that it waits for. When no other task is ready to run it also waits for
/// a millisecond: what the poll waits for then comes from a socket, and a test that advances a manual clock between its
/// polls would let minutes pass during a call. If the millisecond becomes longer, other programs use the processors, and
/// the threads of a call wait for them one after the other: then it waits again, once for each of these threads.
package func pollingPause() async {
    let clock = ContinuousClock()
    let began = clock.now
    await withTaskGroup(of: Void.self) { group in
        group.addTask(priority: .background) { await Task.yield() }
    }
    guard clock.now - began < .microseconds(100) else { return }
    for _ in 0..<6 {
        let asleep = clock.now
        try? await clock.sleep(for: .milliseconds(1))
        if clock.now - asleep < .milliseconds(3) { return }
    }
}

/// The same, where something else may end the poll, as the end of the program in `Tool.run`.
///
/// - Throws: `CancellationError` when the task is cancelled.
package func cancellablePollingPause() async throws {
    try Task.checkCancellation()
    await pollingPause()
}

/// Runs one exit test at a time.
///
/// An exit test blocks a thread of the concurrency pool until its process has ended: on two cores, two of them leave
/// none for other tests. Source: swift-testing of Swift 6.3, `ExitTest._processRecords(fromBackChannel:)`.
package func runExitTest(_ test: () async -> Void) async {
    await withCheckedContinuation { continuation in
        exitTests.withLock { $0.begin(continuation) }?.resume()
    }
    await test()
    exitTests.withLock { $0.end() }?.resume()
}

private struct ExitTests {
    private var isRunning = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Returns the test that may run now.
    mutating func begin(_ test: CheckedContinuation<Void, Never>) -> CheckedContinuation<Void, Never>? {
        if isRunning {
            waiting.append(test)
            return nil
        }
        isRunning = true
        return test
    }

    /// Returns the test that may run next.
    mutating func end() -> CheckedContinuation<Void, Never>? {
        isRunning = !waiting.isEmpty
        return waiting.isEmpty ? nil : waiting.removeFirst()
    }
}

private let exitTests = Mutex(ExitTests())
