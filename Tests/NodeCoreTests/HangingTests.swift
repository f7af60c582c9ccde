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
        node.run(for: .seconds(3599))
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

    /// The calls of a batch begin and time out together.
    @Test(.tags(.rule10), arguments: [3, 20])
    func `a driver that responds for other volumes meanwhile does not count as hanging`(hanging: Int) {
        var node = Self.node(60, hanging: hanging, workerThreads: 30)
        node.run(for: .seconds(3600))
        #expect(node.changes.isEmpty)
        for number in hanging..<60 { #expect(Self.longestGap(node.calls(pod: "p\(number)")) <= .seconds(62)) }
    }

    @Test func `a driver without a response to Probe counts as hanging`() {
        var node = Self.node(10, hanging: 0)
        node.run(for: .seconds(61))
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

    /// 100 pods use one volume; a pod with another one shows that the driver does not hang.
    @Test(.tags(.rule10)) func `a volume that hangs is probed less and less often, however many pods use it`() {
        var node = Simulation()
        node.respond = { probe, _ in
            probe.volumeHandle == "h-data" ? (.failed(.deadlineExceeded), Self.timeout) : (.healthy, .milliseconds(5))
        }
        node.state.beginRelist()
        for number in 0..<100 { node.apply(.named("p\(number)")) }
        node.apply(.named("other", claims: ["other"]))
        node.state.endRelist(at: node.now)
        node.run(for: .seconds(3600))
        let count = node.calls.count { $0.probe.volumeHandle == "h-data" }
        #expect((5...10).contains(count))
        #expect(node.calls(pod: "other").count == 60)
        node.run(for: .seconds(3 * 3600))
        #expect(node.calls.count { $0.probe.volumeHandle == "h-data" } <= count + 6)
        #expect(node.changes.isEmpty)

        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(1800 + 60))
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 101)
    }

    @Test(.tags(.rule10)) func `pods that replace each other are one volume that hangs`() {
        var node = Simulation()
        node.respond = { probe, _ in
            probe.volumeHandle == "h-data" ? (.failed(.deadlineExceeded), Self.timeout) : (.healthy, .milliseconds(5))
        }
        node.list(.named("other", claims: ["other"]))
        for number in 0..<60 {
            node.apply(.named("web-0", uid: "uid-\(number)"))
            node.run(for: .seconds(60))
        }
        #expect((5...8).contains(node.calls.count { $0.probe.volumeHandle == "h-data" }))
    }

    /// As a bind mount of one pod may: the other pods keep their interval.
    @Test(.tags(.rule10)) func `a path that hangs does not delay the other paths of its volume for long`() {
        var node = Simulation()
        node.respond = { probe, _ in
            probe.key.podUID == "uid-a" ? (.failed(.deadlineExceeded), Self.timeout) : (.healthy, .milliseconds(5))
        }
        node.list(.named("a"), .named("b"), .named("c"))
        node.run(for: .seconds(3 * 3600))
        #expect((9...11).contains(node.calls(pod: "a").count))
        for pod in ["b", "c"] {
            #expect(node.calls(pod: pod).count >= 160)
            #expect(Self.longestGap(node.calls(pod: pod)) < .seconds(180))
        }
    }

    /// Volumes that may not be called yet take no place in the even stream of calls.
    @Test(.tags(.rule10)) func `many pods of a slow volume delay no other volume`() {
        var node = Simulation()
        node.respond = { probe, _ in (.healthy, probe.volumeHandle == "h-data" ? .seconds(10) : .milliseconds(5)) }
        node.state.beginRelist()
        for number in 0..<100 { node.apply(.named("p\(number)")) }
        for number in 0..<10 { node.apply(.named("o\(number)", claims: ["c\(number)"])) }
        node.state.endRelist(at: node.now)
        node.run(for: .seconds(1800))
        for number in 0..<10 {
            #expect(Self.longestGap(node.calls(pod: "o\(number)")) < .seconds(62))
        }
        // One after the other, each in its turn.
        let counts = (0..<100).map { node.calls(pod: "p\($0)").count }
        #expect(counts.allSatisfy { (1...2).contains($0) })
    }

    @Test(.tags(.rule10), arguments: [true, false])
    func `a new connection ends a back-off only if the driver has restarted`(isSameProcess: Bool) {
        var node = Self.node(3, hanging: 1)
        // The next call would come 61 minutes after the first.
        node.run(for: .seconds(2400))
        let before = node.calls(pod: "p0").count
        node.reconnect(isSameProcess: isSameProcess)
        node.run(for: .seconds(170))
        #expect(node.calls(pod: "p0").count - before == (isSameProcess ? 0 : 2))
        // The others are probed as before.
        #expect(Self.longestGap(node.calls(pod: "p1")) < .seconds(62))
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
