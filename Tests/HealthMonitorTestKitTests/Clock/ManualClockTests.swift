// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct ManualClockTests {
    let clock = ManualClock()

    @Test func `the clock moves only when it is advanced`() {
        let start = clock.now
        #expect(clock.now == start)
        clock.advance(by: .seconds(2))
        clock.advance(by: .milliseconds(500))
        #expect(start.duration(to: clock.now) == .milliseconds(2500))
        #expect(start < clock.now)
        #expect(start.advanced(by: .milliseconds(2500)) == clock.now)
    }

    @Test func `a sleeper resumes at its deadline`() async throws {
        let sleep = Task {
            try await clock.sleep(for: .seconds(10))
            return clock.now.offset
        }
        #expect(await clock.sleeper() == .seconds(10))
        clock.advance(by: .seconds(9))
        #expect(await clock.sleeper() == .seconds(1), "still asleep")
        clock.advance(by: .seconds(1))
        #expect(try await sleep.value == .seconds(10))
    }

    @Test func `one advance resumes all due sleepers`() async throws {
        let sleeps = (1...5).map { seconds in Task { try await clock.sleep(for: .seconds(seconds)) } }
        for seconds in 1...5 { await clock.sleeper(ofAtLeast: .seconds(seconds)) }
        clock.advance(by: .seconds(4))
        for sleep in sleeps[..<4] { try await sleep.value }
        #expect(await clock.sleeper() == .seconds(1))
        clock.advance(by: .seconds(1))
        try await sleeps[4].value
    }

    @Test(arguments: [Duration.zero, .seconds(-1)])
    func `a past deadline returns at once`(duration: Duration) async throws {
        try await clock.sleep(for: duration)
        #expect(clock.now.offset == .zero)
    }

    @Test func `sleep ends on cancellation`() async {
        let sleep = Task { try await clock.sleep(for: .seconds(1)) }
        await clock.sleeper()
        sleep.cancel()
        await #expect(throws: CancellationError.self) { try await sleep.value }
    }

    @Test func `a cancelled task does not begin to sleep`() async {
        await withTaskGroup(of: Bool.self) { group in
            group.cancelAll()
            group.addTask {
                do {
                    try await clock.sleep(for: .seconds(1))
                    return false
                } catch {
                    return error is CancellationError
                }
            }
            #expect(await group.next() == true)
        }
    }

    @Test func `a test waits for a sleeper in a range`() async throws {
        let short = Task { try await clock.sleep(for: .seconds(1)) }
        await clock.sleeper()
        let waiting = Task { await clock.sleeper(ofAtLeast: .seconds(30)) }
        let long = Task { try await clock.sleep(for: .seconds(60)) }
        #expect(await waiting.value == .seconds(60))
        clock.advance(by: .seconds(60))
        try await short.value
        try await long.value
    }

    @Test func `a test waits for a number of sleepers`() async throws {
        let first = Task { try await clock.sleep(for: .seconds(1)) }
        await clock.sleepers(1)
        let waiting = Task { await clock.sleepers(2) }
        let second = Task { try await clock.sleep(for: .seconds(1)) }
        await waiting.value
        clock.advance(by: .seconds(1))
        try await first.value
        try await second.value
        await clock.sleepers(0)
    }

    @Test func `a sleeper outside the range is ignored`() async throws {
        let others = [1, 60].map { seconds in Task { try await clock.sleep(for: .seconds(seconds)) } }
        await clock.sleepers(2)
        let waiting = Task { await clock.sleeper(ofAtLeast: .seconds(10), atMost: .seconds(30)) }
        let meant = Task { try await clock.sleep(for: .seconds(20)) }
        #expect(await waiting.value == .seconds(20))
        clock.advance(by: .seconds(60))
        for sleep in others + [meant] { try await sleep.value }
    }

    @Test func `waiting for a sleeper ends on cancellation`() async {
        let waiting = Task { await clock.sleeper() }
        waiting.cancel()
        #expect(await waiting.value == .zero)
    }
}
