// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthMonitorTestKit
import Synchronization
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

@Suite(.timeLimit(.minutes(50))) struct DispatchTests {
    private typealias Step = NextStep<Int>

    /// Runs a dispatcher with the steps of `step` while `body` runs, then cancels it.
    ///
    /// - Parameter body: Receives the number of each step that the dispatcher requested.
    private func dispatching(
        clock: CountingClock,
        wakeUp: WakeUp,
        step: @escaping @Sendable (_ number: Int) -> Step,
        _ body: (inout AsyncStream<Int>.Iterator) async throws -> Void
    ) async throws {
        let (requested, continuation) = AsyncStream.makeStream(of: Int.self)
        let count = Shared(0)
        try await withThrowingTaskGroup { group in
            group.addTask {
                try await dispatch(atMost: { 1 }, wakeUp: wakeUp, time: ElapsedTime(clock)) {
                    let number = count.value.withLock { count in
                        count += 1
                        return count
                    }
                    continuation.yield(number)
                    return step(number)
                } run: { _ in
                }
            }
            var iterator = requested.makeAsyncIterator()
            try await body(&iterator)
            group.cancelAll()
        }
    }

    @Test func `a step that is due later is requested at its time`() async throws {
        let clock = CountingClock()
        try await dispatching(clock: clock, wakeUp: WakeUp()) { number in
            .wait(until: .seconds(5 * number))
        } _: { requested in
            for number in 1...3 {
                #expect(await requested.next() == number)
                #expect(await clock.manual.sleeper(ofAtLeast: .nanoseconds(1)) == .seconds(5))
                clock.manual.advance(by: .seconds(5))
            }
        }
    }

    /// A cancelled sleep would use memory until its deadline.
    @Test func `signals leave no sleeps behind`() async throws {
        let clock = CountingClock()
        let wakeUp = WakeUp()
        try await dispatching(clock: clock, wakeUp: wakeUp) { number in
            .wait(until: .seconds(1800 + number))
        } _: { requested in
            for number in 1...1000 {
                #expect(await requested.next() == number)
                wakeUp.signal()
            }
            await clock.manual.sleeper()
            #expect(clock.sleeps == 1)
        }
    }

    @Test func `an earlier deadline is not missed`() async throws {
        let clock = CountingClock()
        let wakeUp = WakeUp()
        try await dispatching(clock: clock, wakeUp: wakeUp) { number in
            .wait(until: .seconds(number == 2 ? 5 : 1800))
        } _: { requested in
            _ = await requested.next()
            wakeUp.signal()
            _ = await requested.next()
            #expect(await clock.manual.sleeper(atMost: .seconds(5)) == .seconds(5))
            clock.manual.advance(by: .seconds(5))
            #expect(await requested.next() == 3)
            #expect(clock.sleeps == 2)
        }
    }

    @Test func `a dispatcher that stops does not wait`() async throws {
        let wakeUp = WakeUp()
        let stops = Shared(false)
        let clock = CountingClock()
        try await withThrowingTaskGroup { group in
            group.addTask {
                try await dispatch(atMost: { 1 }, wakeUp: wakeUp, time: ElapsedTime(clock)) {
                    stops.value.withLock { $0 } ? nil : Step.wait(until: .seconds(1800))
                } run: { _ in
                }
            }
            await clock.manual.sleeper()
            stops.value.withLock { $0 = true }
            wakeUp.signal()
            try await group.next()
        }
        #expect(clock.manual.now.offset == .zero)
    }

    /// The outcome of the first task shows that more may be in flight.
    @Test func `a task in flight does not keep others from starting`() async throws {
        let (begun, begins) = AsyncStream.makeStream(of: Int.self)
        let (release, released) = AsyncStream.makeStream(of: Void.self)
        let next = Shared(0)
        await withThrowingTaskGroup { group in
            group.addTask {
                try await dispatch(atMost: { 2 }, wakeUp: WakeUp(), time: ElapsedTime(ManualClock())) {
                    next.value.withLock { number -> Step in
                        number += 1
                        return number == 2 || number > 4 ? .wait(until: nil) : .run(number)
                    }
                } run: { job in
                    if job == 1 {
                        // Ends once the dispatcher has found nothing more to do.
                        for await _ in release { break }
                        return
                    }
                    begins.yield(job)
                    let (never, continuation) = AsyncStream.makeStream(of: Never.self)
                    for await _ in never {}
                    continuation.finish()
                    throw CancellationError()
                }
            }
            while next.value.withLock({ $0 }) < 2 { await pollingPause() }
            released.yield()
            var iterator = begun.makeAsyncIterator()
            #expect(await iterator.next() == 3)
            #expect(await iterator.next() == 4)
            group.cancelAll()
        }
    }

    @Test func `cancellation ends the dispatcher`() async throws {
        let clock = CountingClock()
        await #expect(throws: CancellationError.self) {
            try await dispatching(clock: clock, wakeUp: WakeUp()) { _ in
                .wait(until: nil)
            } _: { requested in
                _ = await requested.next()
                throw CancellationError()
            }
        }
        #expect(clock.sleeps == 0)
    }
}

/// A value that the test and the dispatcher share.
private final class Shared<Value: Sendable>: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }
}

/// A manual clock that counts the sleeps that began.
private final class CountingClock: Clock {
    typealias Duration = Swift.Duration

    let manual = ManualClock()
    private let count = Mutex(0)

    var sleeps: Int { count.withLock { $0 } }
    var now: ManualClock.Instant { manual.now }
    var minimumResolution: Duration { manual.minimumResolution }

    func sleep(until deadline: ManualClock.Instant, tolerance: Duration?) async throws {
        count.withLock { $0 += 1 }
        try await manual.sleep(until: deadline, tolerance: tolerance)
    }
}
