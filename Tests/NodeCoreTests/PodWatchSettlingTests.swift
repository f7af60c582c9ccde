// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import NodeCore

/// Events wait until the watch of pods shows again which pods have ended.
struct PodWatchSettlingTests {
    static let delay = Duration.seconds(15)

    // MARK: The decision

    @Test func `a watch that has not failed delays nothing`() {
        var watch = PodWatchSettling(delay: Self.delay)
        #expect(watch.isSettled(at: .zero))
        watch.opened(at: .seconds(10))
        #expect(watch.isSettled(at: .seconds(10)))
        #expect(watch.openings == 0)
    }

    @Test func `events wait for the watch, and then for the delay`() {
        var watch = PodWatchSettling(delay: Self.delay)
        watch.failed(at: .seconds(10))
        watch.failed(at: .seconds(20))
        #expect(!watch.isSettled(at: .seconds(100)))
        #expect(watch.settles == nil)
        watch.opened(at: .seconds(100))
        #expect(watch.settles == .seconds(115))
        // A list and the watch after it.
        watch.opened(at: .seconds(101))
        #expect(watch.settles == .seconds(115))
        #expect(!watch.isSettled(at: .seconds(114)))
        #expect(watch.isSettled(at: .seconds(115)))
        #expect(watch.openings == 1)
    }

    @Test func `a watch that fails within the delay begins it again`() {
        var watch = PodWatchSettling(delay: Self.delay)
        watch.failed(at: .seconds(10))
        watch.opened(at: .seconds(20))
        watch.failed(at: .seconds(30))
        #expect(watch.settles == nil)
        watch.opened(at: .seconds(40))
        #expect(watch.settles == .seconds(55))
    }

    @Test func `a watch that never lasts does not hold back all events`() {
        var watch = PodWatchSettling(delay: Self.delay)
        var settled: [Int] = []
        for number in 0..<20 {
            watch.failed(at: .seconds(20 * number))
            watch.opened(at: .seconds(20 * number + 10))
            if watch.isSettled(at: .seconds(20 * number + 19)) { settled.append(number) }
        }
        #expect(settled == [4, 9, 14, 19])
    }

    // MARK: Reports

    /// A node whose volume is unhealthy from the first probe after a minute on, and whose watch fails meanwhile.
    static func node(_ outcome: NodeProbeOutcome = .unhealthy(.inaccessible)) -> Simulation {
        var node = Simulation(.init(interval: .seconds(2), reportDelay: delay))
        node.respond = { _, now in (now >= .seconds(60) ? outcome : .healthy, .milliseconds(5)) }
        node.list()
        node.apply(.named("a"))
        node.run(for: .seconds(50))
        node.state.podWatchFailed(at: node.now)
        node.run(for: .seconds(100))
        return node
    }

    @Test func `a condition that is new in an outage is reported when the watch has been open for the delay`() {
        var node = Self.node()
        #expect(node.events.isEmpty)
        let plans = node.state.plans
        node.state.podWatchOpened(at: node.now)
        let opened = node.now
        // The tasks that wait are woken up.
        #expect(node.state.plans.events > plans.events)
        #expect(node.state.plans.flappingEvents > plans.flappingEvents)
        #expect(node.state.plans.unknownEvents > plans.unknownEvents)
        node.run(for: .seconds(60))
        #expect(node.events.map(\.time) == [opened + Self.delay])
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
    }

    @Test func `a condition of an unknown type waits too`() {
        var node = Self.node(.unknown(type: 9))
        #expect(node.unknownEvents.isEmpty)
        node.state.podWatchOpened(at: node.now)
        node.run(for: .seconds(14))
        #expect(node.unknownEvents.isEmpty)
        node.run(for: .seconds(2))
        #expect(node.unknownEvents.count == 1)
    }

    /// The kubelet writes the end of the pod when the API server is back.
    @Test func `a pod that has ended in an outage has no event`() {
        var node = Self.node()
        node.state.podWatchOpened(at: node.now)
        node.run(for: .seconds(10))
        node.state.remove(podUID: "uid-a")
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
    }

    /// Its first attempt may have failed as the outage began.
    @Test func `a report that waits in the queue waits for the watch too`() {
        var node = Simulation(.init(interval: .seconds(2), reportDelay: Self.delay))
        node.respond = { _, _ in (.unhealthy(.inaccessible), .milliseconds(5)) }
        node.record = { _ in .unreachable }
        node.list()
        node.apply(.named("a"))
        node.run(for: .seconds(60))
        node.state.podWatchFailed(at: node.now)
        node.record = { _ in .reported }
        node.run(for: .seconds(60))
        #expect(node.events.isEmpty)
        node.state.podWatchOpened(at: node.now)
        node.run(for: .seconds(10))
        #expect(node.events.isEmpty)
        node.state.remove(podUID: "uid-a")
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
    }
}
