// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

/// What one call or one connection of a driver means for its other calls.
struct DriverLifeTests {
    static let capabilities = NodeCapabilities(strategy: .health, reportsStorageHealth: true)

    /// A volume that is part of the pod.
    static func pod(_ name: String, driver: String = driverName) -> NodePod {
        NodePod.named(name).with { $0.volumes = [PodVolume(name: "data", source: .inline(driver: driver))] }
    }

    /// Three volumes that hang, and a storage probe that is under way since the beginning.
    static func hangingNode() throws -> (node: Simulation, probe: StorageProbe) {
        var node = Simulation(capabilities: capabilities)
        node.respond = { _, _ in (.failed(.deadlineExceeded), .seconds(15)) }
        node.list(pod("a"), pod("b"), pod("c"))
        let probe = try #require(node.state.nextStorageProbe(at: .seconds(10)).job)
        return (node, probe)
    }

    @Test(.tags(.rule10)) func `UNIMPLEMENTED for one volume does not stop the calls for the others`() {
        var node = Simulation()
        node.list(.named("a"), .named("b", claims: ["x"]))
        node.run(for: .seconds(60))
        node.respond = { probe, _ in (probe.volumeHandle == "h-x" ? .failed(.unimplemented) : .healthy, .zero) }
        node.run(for: .seconds(600))
        #expect(node.changes.isEmpty)
        #expect(node.calls(pod: "a").count >= 10)
        #expect(node.calls(pod: "b").count >= 10)
    }

    @Test(arguments: [true, false]) func `what a driver cannot report any more is not refreshed`(isRemoved: Bool) {
        var node = Simulation()
        node.respond = { _, _ in (.unhealthy(.inaccessible), .zero) }
        node.list(.named("a"))
        node.run(for: .seconds(120))
        if isRemoved {
            node.state.driverRemoved(driverName, at: node.now)
        } else {
            node.state.capabilitiesRead(driverName, NodeCapabilities(strategy: .none), at: node.now)
        }
        node.run(for: .seconds(7200))
        #expect(node.events.count == 1)
        #expect(node.state.snapshot(at: node.now).unhealthy.isEmpty)
        node.respond = { _, _ in (.healthy, .zero) }
        node.reconnect()
        node.run(for: .seconds(300))
        #expect(node.transitions(pod: "a") == [[.inaccessible], []])
    }

    @Test func `after a new connection UNIMPLEMENTED is about the driver`() {
        var node = Simulation()
        node.list(.named("a"))
        node.run(for: .seconds(60))
        node.respond = { _, _ in (.failed(.unimplemented), .zero) }
        node.reconnect()
        node.run(for: .seconds(600))
        #expect(node.changes == [.capabilitiesOutdated])
    }

    @Test(.tags(.rule10)) func `the response of a storage probe does not end the hanging of volumes`() throws {
        var (node, probe) = try Self.hangingNode()
        node.run(for: .seconds(300))
        #expect(node.changes == [.startedHanging])
        #expect(node.state.complete(storageProbe: probe, .health(.healthy), at: node.now).isEmpty)
        #expect(node.state.snapshot(at: node.now).drivers.map(\.isHanging) == [true])
    }

    @Test(.tags(.rule10)) func `the response of a storage probe between timeouts of volumes changes nothing`() throws {
        var (node, probe) = try Self.hangingNode()
        while node.state.snapshot(at: node.now).unresponsive.count < 2 { node.run(for: .milliseconds(10)) }
        #expect(node.changes.isEmpty)
        _ = node.state.complete(storageProbe: probe, .health(.healthy), at: node.now)
        node.run(for: .seconds(60))
        #expect(node.changes == [.startedHanging])
    }

    @Test func `the response of a storage probe ends the hanging that Identity calls have shown`() throws {
        var (node, probe) = try Self.hangingNode()
        #expect(node.state.driverUnresponsive(driverName, at: node.now) == [.startedHanging])
        #expect(node.state.complete(storageProbe: probe, .failed(.internal), at: node.now) == [.stoppedHanging])
    }

    @Test func `storage probes resume when a volume has a response`() {
        var node = Simulation(capabilities: Self.capabilities)
        node.list(.named("a"))
        node.run(for: .seconds(60))
        _ = node.state.driverUnresponsive(driverName, at: node.now)
        #expect(node.state.nextStorageProbe(at: node.now) == .wait(until: nil))
        let plans = node.state.plans.probes
        node.run(for: .seconds(120))
        #expect(node.changes == [.stoppedHanging])
        #expect(node.state.plans.probes > plans)
    }

    @Test(.tags(.rule10), arguments: [true, false])
    func `pods that come and go leave nothing behind`(isRegistered: Bool) {
        var node = Simulation(capabilities: nil)
        node.list()
        if isRegistered { node.state.driverRegistered(driverName) }
        for number in 0..<20_000 {
            node.apply(Self.pod("p\(number)"))
            #expect(node.state.drivers.count == 1)
            node.state.remove(podUID: "uid-p\(number)")
        }
        #expect(node.state.drivers.count == (isRegistered ? 1 : 0))
        #expect((node.state.drivers[driverName]?.schedule.queuedItems ?? 0) <= 64)
    }

    @Test func `a driver whose volumes remain is kept until they are gone`() {
        var node = Simulation()
        node.list(Self.pod("a"))
        node.state.driverRemoved(driverName, at: node.now)
        #expect(node.state.drivers.count == 1)
        node.state.remove(podUID: "uid-a")
        #expect(node.state.drivers.isEmpty)
    }

    // MARK: UNAVAILABLE

    @Test(.tags(.rule1)) func `a call that a broken connection ended says nothing of the volume`() throws {
        var node = Simulation()
        node.list(.named("a"))
        node.run(for: .seconds(60))
        node.respond = { _, _ in (.failed(.unavailable), .seconds(1)) }
        let before = node.calls.count
        while node.calls.count == before || !node.underWay.isEmpty { node.run(for: .seconds(1)) }
        node.state.driverDisconnected(driverName)
        node.run(for: .seconds(600))
        let snapshot = node.state.snapshot(at: node.now)
        #expect(snapshot.unresponsive.isEmpty)
        #expect(snapshot.drivers.first?.counts.unknown == 1)
        node.respond = { _, _ in (.healthy, .zero) }
        node.reconnect()
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 1)
        node.run(for: .seconds(60))
        #expect(node.calls.last?.outcome == .healthy)
    }

    @Test(.tags(.rule1, .rule10)) func `a driver that responds UNAVAILABLE for one volume has responded`() {
        var node = Simulation()
        node.list(.named("a"), .named("b", claims: ["y"]))
        node.run(for: .seconds(60))
        node.respond = { probe, _ in (probe.volumeHandle == "h-y" ? .failed(.unavailable) : .healthy, .zero) }
        // The round of the first such response is not complete: the connection may have broken.
        node.run(for: .seconds(120))
        _ = node.state.completedRound(of: driverName, at: node.now)
        for _ in 0..<5 {
            node.run(for: .seconds(60))
            #expect(node.state.completedRound(of: driverName, at: node.now) == ProbeRound(volumes: 2, responses: 2))
        }
        let snapshot = node.state.snapshot(at: node.now)
        #expect(snapshot.unresponsive.isEmpty)
        #expect(snapshot.drivers.first?.counts.healthy == 1)
        #expect(snapshot.drivers.first?.counts.unknown == 1)
        #expect(node.calls(pod: "b").count >= 7)
    }
}
