// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import HealthMonitorTestKit
import Synchronization
import Testing
import Threads

@Suite(.timeLimit(.minutes(50))) struct ThreadsTests {
    @Test func `the end of the body resumes every waiter`() async {
        let (starts, start) = AsyncStream.makeStream(of: Void.self)
        let isReleased = Atomic(false)
        let thread = DedicatedThread()
        thread.start {
            start.yield()
            while !isReleased.load(ordering: .relaxed) { sched_yield() }
        }
        for await _ in starts { break }
        await withTaskGroup { group in
            for _ in 0..<3 {
                group.addTask { await thread.ended() }
            }
            isReleased.store(true, ordering: .relaxed)
        }
        await thread.ended()
    }

    @Test func `a thread frees what its body refers to when it ends`() async {
        final class Object: Sendable {
            let freed: AsyncStream<Void>.Continuation

            init(_ freed: AsyncStream<Void>.Continuation) {
                self.freed = freed
            }

            deinit {
                freed.yield()
            }
        }
        let (ends, freed) = AsyncStream.makeStream(of: Void.self)
        let object = Object(freed)
        DedicatedThread().start { [object] in withExtendedLifetime(object) {} }
        _ = consume object
        for await _ in ends { break }
    }

    @Test func `an object that is used on another thread stops the process`() async {
        await runExitTest {
            await #expect(processExitsWith: .failure) {
                let owner = OwningThread()
                owner.preconditionIsCurrent()
                let thread = DedicatedThread()
                thread.start { owner.preconditionIsCurrent() }
                await thread.ended()
            }
        }
    }

    @Test func `an object may be used on the thread that made it`() async {
        let thread = DedicatedThread()
        thread.start { OwningThread().preconditionIsCurrent() }
        await thread.ended()
    }
}
