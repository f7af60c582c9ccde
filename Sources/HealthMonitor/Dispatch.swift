// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// What a dispatcher does next.
enum DispatchStep<Job: Sendable, Instant: Sendable>: Sendable {
    /// Run this.
    case run(Job)
    /// Nothing is due before this moment; nil: before somebody signals.
    case wait(until: Instant?)
    /// There is nothing more to do.
    case stop
}

/// Runs jobs when they are due, at most `limit()` at a time, until `next` says stop.
///
/// `next` is asked only when there is room for another job, after `wakeUp` was signalled, after a job has ended, and at
/// the moment that it named. Returns when all jobs have ended.
///
/// - Parameters:
///   - next: may be asked from several tasks at once.
///   - run: throws only `CancellationError`, on cancellation.
/// - Throws: `CancellationError` on cancellation; the jobs are cancelled then.
func dispatch<Job: Sendable, C: Clock>(
    atMost limit: @escaping @Sendable () -> Int,
    wakeUp: WakeUp,
    clock: C,
    next: @escaping @Sendable () -> DispatchStep<Job, C.Instant>,
    run: @escaping @Sendable (Job) async throws -> Void
) async throws where C.Duration == Duration {
    let running = RunningJobs()
    let alarms = Alarms<C.Instant>()
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
                            // A task for each job would cost as much as many a job.
                            guard !Task.isCancelled, running.count <= limit(), case .run(let following) = next()
                            else { return }
                            job = following
                            // How this one ended may have made room for others.
                            if running.count < limit() { wakeUp.signal() }
                        }
                    }
                case .wait(let due):
                    if let due, alarms.begin(due) {
                        sleeps.addTask {
                            try? await clock.sleep(until: due, tolerance: nil)
                            alarms.end(due)
                            wakeUp.signal()
                        }
                    }
                    await wakeUp.wait()
                case .stop: return
                }
            }
        }
    }
}

/// The sleeps under way, each until a moment that was due when it began.
///
/// None is ended because something else is due by now: what a cancelled sleep took stays with the runtime until its moment
/// has come (Swift 6.3), and with every signal some kilobytes would be left behind, for half an hour. One that has become
/// useless costs a look at what is due.
private final class Alarms<Instant: Comparable & Sendable>: Sendable {
    private let moments = Mutex<[Instant]>([])

    /// Whether a sleep is needed; not when one under way ends before.
    func begin(_ moment: Instant) -> Bool {
        moments.withLock { moments in
            if let first = moments.min(), first <= moment { return false }
            moments.append(moment)
            return true
        }
    }

    func end(_ moment: Instant) {
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
