// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
import Synchronization

/// Runs jobs when they are due, at most `limit()` at a time, until `next` returns nil and the running jobs have ended.
///
/// `next` is called only when there is room for another job: at the beginning, after `wakeUp` was signalled, after a job
/// has ended, and at the moment until which it returned to wait.
///
/// - Parameters:
///   - wakeUp: to be signalled when a job may be due.
///   - next: may be called from several tasks at once.
///   - run: throws only `CancellationError`, on cancellation.
/// - Throws: `CancellationError` on cancellation; the jobs are cancelled then.
package func dispatch<Job: Sendable>(
    atMost limit: @escaping @Sendable () -> Int,
    wakeUp: WakeUp,
    time: ElapsedTime,
    next: @escaping @Sendable () -> NextStep<Job>?,
    run: @escaping @Sendable (Job) async throws -> Void
) async throws {
    let running = RunningJobs()
    let alarms = Alarms()
    try await withThrowingDiscardingTaskGroup { sleeps in
        defer { sleeps.cancelAll() }
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                try Task.checkCancellation()
                guard running.count < limit() else {
                    await wakeUp.wait()
                    continue
                }
                switch next() {
                case .run(let job):
                    running.begin()
                    group.addTask {
                        defer {
                            running.end()
                            wakeUp.signal()
                        }
                        var job = job
                        while true {
                            try await run(job)
                            // The task takes the next job as well: a new task for each would cost as much as the job.
                            guard !Task.isCancelled, running.count <= limit(), case .run(let following) = next()
                            else { return }
                            job = following
                            // The outcome of the last job may have made others due, and there is room for them.
                            if running.count < limit() { wakeUp.signal() }
                        }
                    }
                case .wait(let due):
                    if let due, alarms.begin(due) {
                        sleeps.addTask {
                            try? await time.sleep(until: due)
                            alarms.end(due)
                            wakeUp.signal()
                        }
                    }
                    await wakeUp.wait()
                case nil: return
                }
            }
        }
    }
}

/// The moments until which tasks sleep.
///
/// A sleep is not cancelled when it is no longer needed: the runtime keeps the memory of a cancelled sleep until its
/// moment has passed (Swift 6.3), so that every signal would hold some kilobytes for half an hour. A sleep that is no
/// longer needed costs one call of `next`.
private final class Alarms: Sendable {
    private let moments = Mutex<[Duration]>([])

    /// Registers a sleep until this moment. Returns false when another sleep ends before, so that none is needed.
    func begin(_ moment: Duration) -> Bool {
        moments.withLock { moments in
            if let first = moments.min(), first <= moment { return false }
            moments.append(moment)
            return true
        }
    }

    func end(_ moment: Duration) {
        moments.withLock { moments in
            if let index = moments.firstIndex(of: moment) { moments.remove(at: index) }
        }
    }
}

private final class RunningJobs: Sendable {
    private let number = Mutex(0)

    var count: Int { number.withLock { $0 } }

    func begin() { number.withLock { $0 += 1 } }

    func end() { number.withLock { $0 -= 1 } }
}
