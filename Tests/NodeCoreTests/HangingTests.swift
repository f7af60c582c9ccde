// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

struct HangingTests {
    static let timeout = Duration.seconds(15)

    /// Pods `p0`, `p1`, … with a volume each, of which the first ones hang.
    static func node(_ count: Int, hanging: Int, workerThreads: Int = 10) -> Simulation {
        var node = Simulation(NodeHealthState.Configuration(workerThreads: workerThreads))
        node.respond = { probe, _ in
            let number = Int(probe.volumeHandle.dropFirst(3)) ?? 0
            return number < hanging ? (.failed(.deadlineExceeded), Self.timeout) : (.healthy, .milliseconds(5))
        }
        node.state.beginRelist()
        for number in 0..<count { node.apply(.named("p\(number)", claims: ["c\(number)"])) }
        node.state.endRelist(at: node.now)
        return node
    }

    /// The longest time from one call to the next.
    static func longestGap(_ calls: [Simulation.Call]) -> Duration {
        zip(calls, calls.dropFirst()).map { $1.began - $0.began }.max() ?? .zero
    }

    @Test(.tags(.rule10)) func `110 pods keep their interval beside a volume that hangs`() {
        var node = Self.node(110, hanging: 1)
        node.run(for: .seconds(3600))
        for number in 1..<110 {
            let calls = node.calls(pod: "p\(number)")
            #expect(calls.count == 60)
            #expect(Self.longestGap(calls) <= .seconds(62))
        }
        // After 1, 1, 2, 4, 8, 16 intervals.
        #expect((5...7).contains(node.calls(pod: "p0").count))
        #expect(node.changes.isEmpty)
    }

    @Test(.tags(.rule10)) func `a volume that hangs is probed every thirty minutes in the end`() {
        var node = Self.node(2, hanging: 1)
        node.run(for: .seconds(24 * 3600))
        let calls = node.calls(pod: "p0")
        #expect(Self.longestGap(calls) == .seconds(1800))
        #expect(calls.count <= 24 * 2 + 6)
    }

    @Test(.tags(.rule10)) func `ten volumes that hang do not take all calls`() {
        var node = Self.node(110, hanging: 10)
        node.run(for: .seconds(600))
        let before = node.calls.count
        node.run(for: .seconds(3600))
        #expect(node.calls.count > before)
        for number in 10..<110 {
            let calls = node.calls(pod: "p\(number)").filter { $0.began > .seconds(600) }
            #expect(Self.longestGap(calls) <= .seconds(75))
        }
        #expect(node.maximumUnderWay <= 10)
    }

    @Test(.tags(.rule10)) func `more volumes that hang than calls are tried one at a time`() {
        var node = Self.node(60, hanging: 40, workerThreads: 8)
        node.run(for: .seconds(600))
        for _ in 0..<3600 {
            node.run(for: .seconds(1))
            #expect(node.underWay.count { $0.outcome == .failed(.deadlineExceeded) } <= 1)
        }
    }

    @Test(.tags(.rule10)) func `a driver that hangs gets one call per interval until it responds`() {
        var node = Self.node(50, hanging: 50)
        node.run(for: .seconds(300))
        #expect(node.changes == [.startedHanging])
        #expect(node.state.snapshot(at: node.now).drivers.map(\.isHanging) == [true])
        let before = node.calls.count
        node.run(for: .seconds(3000))
        #expect((49...51).contains(node.calls.count - before))

        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(1800))
        #expect(node.changes == [.startedHanging, .stoppedHanging])
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 50)
        #expect(node.state.snapshot(at: node.now).unresponsive.isEmpty)
    }

    @Test func `a driver without a response to Probe counts as hanging`() {
        var node = Self.node(10, hanging: 0)
        node.run(for: .seconds(60))
        #expect(node.state.driverUnresponsive(driverName, at: node.now) == [.startedHanging])
        #expect(node.state.driverUnresponsive(driverName, at: node.now).isEmpty)
        let before = node.calls.count
        node.run(for: .seconds(59))
        #expect(node.calls.count == before)
        node.run(for: .seconds(60))
        #expect(node.changes == [.stoppedHanging])
        #expect(node.calls.count >= before + 10)
    }

    @Test func `another path of a volume that hangs waits for an interval`() {
        var node = Simulation()
        node.respond = { probe, _ in
            probe.key.podUID == "uid-a" ? (.failed(.deadlineExceeded), Self.timeout) : (.healthy, .milliseconds(5))
        }
        node.list(.named("a"))
        while node.calls.isEmpty { node.run(for: .seconds(1)) }
        node.run(for: Self.timeout)
        let timeout = node.now
        node.apply(.named("b"))
        node.run(for: .seconds(120))
        #expect((node.calls(pod: "b").first?.began).map { $0 >= timeout + .seconds(59) } == true)
        #expect(node.calls(pod: "b").count >= 1)
    }

    @Test(.tags(.rule1)) func `a volume without a response keeps its health, and its age is known`() {
        var node = Self.node(2, hanging: 0)
        node.respond = { _, _ in (.unhealthy(.inaccessible), .milliseconds(5)) }
        node.run(for: .seconds(120))
        node.respond = { probe, _ in
            probe.volumeHandle == "h-c0" ? (.failed(.deadlineExceeded), Self.timeout) : (.healthy, .milliseconds(5))
        }
        node.run(for: .seconds(600))
        let snapshot = node.state.snapshot(at: node.now)
        #expect(snapshot.unhealthy.map(\.volume.podName) == ["p0"])
        #expect(snapshot.unresponsive.map(\.volume.podName) == ["p0"])
        #expect(snapshot.unresponsive.first.map { $0.age > .seconds(540) && $0.age < .seconds(680) } == true)
        #expect(snapshot.drivers.first?.counts.backingOff == 1)
        #expect(node.transitions(pod: "p0") == [[.inaccessible]])
    }

    @Test func `an aborted call is repeated once, then has its next turn`() {
        var node = Simulation()
        node.respond = { _, _ in (.failed(.aborted), .zero) }
        node.list(.named("a"))
        node.run(for: .seconds(600))
        let calls = node.calls.map(\.began)
        let gaps = zip(calls, calls.dropFirst()).map { $1 - $0 }
        #expect((19...21).contains(calls.count))
        for (number, gap) in gaps.enumerated() {
            #expect(number % 2 == 0 ? gap >= .seconds(1) && gap < .seconds(4) : gap > .seconds(55))
        }
        #expect(node.events.isEmpty)
    }

    @Test func `after UNIMPLEMENTED no call is made until the capabilities are read`() {
        var node = Simulation()
        node.respond = { _, _ in (.failed(.unimplemented), .zero) }
        node.list(.named("a"), .named("b", claims: ["x"]))
        node.run(for: .seconds(600))
        #expect(node.calls.count == 1)
        #expect(node.changes == [.capabilitiesOutdated])
        node.respond = { _, _ in (.healthy, .zero) }
        node.state.capabilitiesRead(driverName, NodeCapabilities(numbers: [1, 2, 4]), at: node.now)
        node.run(for: .seconds(60))
        #expect(node.calls.last?.probe.strategy == .legacy)
        #expect(node.calls.last?.probe.stagingPath.isEmpty == true)
        node.state.capabilitiesRead(driverName, NodeCapabilities(numbers: [1, 2]), at: node.now)
        let calls = node.calls.count
        node.run(for: .seconds(600))
        #expect(node.calls.count == calls)
        #expect(node.state.snapshot(at: node.now).drivers.map(\.isSupported) == [false])
    }
}
