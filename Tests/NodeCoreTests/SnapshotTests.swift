// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

struct SnapshotTests {
    @Test func `every volume of a driver is counted by its state`() {
        var node = Simulation()
        node.resolve = { $0.name == "unbound" ? .notYet(reason: "") : .volume(.of($0.name)) }
        node.respond = { probe, _ in
            switch probe.volumeHandle {
            case "h-bad": (.unhealthy(.inaccessible), .zero)
            case "h-odd": (.unknown(type: 9), .zero)
            case "h-hung": (.failed(.deadlineExceeded), .seconds(15))
            default: (.healthy, .zero)
            }
        }
        node.list()
        node.apply(
            .named("a", claims: ["good", "bad", "odd", "hung", "unbound"]),
            .named("b", claims: ["early"], started: false)
        )
        node.run(for: .seconds(120))
        let snapshot = node.state.snapshot(at: node.now)
        let counts = snapshot.drivers.first?.counts
        #expect(counts?.healthy == 1)
        #expect(counts?.unhealthy == 1)
        #expect(counts?.unknown == 2)
        #expect(counts?.waiting == 1)
        #expect(counts?.unresponsive == 1)
        #expect(counts?.backingOff == 1)
        #expect(snapshot.unhealthy.map(\.volume.claimName) == ["bad"])
        #expect(snapshot.unhealthy.map(\.conditions) == [[.inaccessible]])
        #expect(snapshot.unresponsive.map(\.volume.nameList) == ["hung"])
        #expect(snapshot.unresolvedClaims == 1)
        #expect(snapshot.pods == 2)
    }

    @Test func `a volume of a driver that cannot report health any more is not without a response`() {
        var node = Simulation()
        node.respond = { _, _ in (.failed(.deadlineExceeded), .seconds(15)) }
        node.list(.named("a"))
        node.run(for: .seconds(120))
        #expect(node.state.snapshot(at: node.now).unresponsive.count == 1)
        node.state.capabilitiesRead(driverName, NodeCapabilities(strategy: .none), at: node.now)
        node.run(for: .seconds(120))
        let snapshot = node.state.snapshot(at: node.now)
        #expect(snapshot.unresponsive.isEmpty)
        let counts = snapshot.drivers.first?.counts
        #expect(counts?.unresponsive == 0)
        #expect(counts?.backingOff == 0)
        #expect(counts?.unknown == 1)
    }

    @Test(.tags(.rule1)) func `a healthy volume without a response is not counted as healthy`() {
        var node = Simulation()
        node.list(.named("a"))
        node.run(for: .seconds(120))
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 1)
        node.respond = { _, _ in (.failed(.deadlineExceeded), .seconds(15)) }
        node.run(for: .seconds(120))
        let counts = node.state.snapshot(at: node.now).drivers.first?.counts
        #expect(counts?.healthy == 0)
        #expect(counts?.unknown == 1)
        #expect(counts?.unresponsive == 1)
    }

    @Test(.tags(.rule1)) func `a healthy volume of a driver that is not connected is not counted as healthy`() {
        var node = Simulation()
        node.list(.named("a"))
        node.run(for: .seconds(120))
        node.state.driverDisconnected(driverName)
        let counts = node.state.snapshot(at: node.now).drivers.first?.counts
        #expect(counts?.healthy == 0)
        #expect(counts?.unknown == 1)
    }

    @Test func `only registered drivers are shown`() {
        var node = Simulation(capabilities: nil)
        node.resolve = { .volume(.of($0.name, driver: "foreign.example.com")) }
        node.state.driverRegistered("own.example.com")
        node.list(.named("a"))
        node.run(for: .seconds(600))
        let drivers = node.state.snapshot(at: node.now).drivers
        #expect(drivers.map(\.name) == ["own.example.com"])
        #expect(drivers.map(\.isConnected) == [false])
        #expect(drivers.map(\.isSupported) == [nil])
        node.state.driverRemoved("own.example.com", at: node.now)
        #expect(node.state.snapshot(at: node.now).drivers.isEmpty)
    }

    @Test func `a round is complete when every volume was probed in it`() {
        var node = Simulation()
        node.list(.named("a"), .named("b", claims: ["y"]))
        node.run(for: .seconds(60))
        #expect(node.state.completedRound(of: driverName, at: node.now) == ProbeRound(volumes: 2, responses: 2))
        #expect(node.state.completedRound(of: driverName, at: node.now) == nil)
    }

    struct Capabilities: Sendable {
        var numbers: [Int]
        var expected: NodeCapabilities
    }

    @Test(
        arguments: [
            Capabilities(numbers: [], expected: .init(strategy: .none)),
            Capabilities(numbers: [1, 2, 3, 5, 6], expected: .init(strategy: .none, needsStagingPath: true)),
            Capabilities(numbers: [2, 4], expected: .init(strategy: .legacy)),
            Capabilities(
                numbers: [1, 4, 7, 8, 99],
                expected: .init(strategy: .health, needsStagingPath: true, reportsStorageHealth: true)
            ),
        ]
    )
    func `capabilities choose the RPC`(example: Capabilities) {
        #expect(NodeCapabilities(numbers: example.numbers) == example.expected)
    }

    @Test func `the staging path is sent only with NodeGetVolumeHealth to drivers that stage`() {
        for (numbers, sends) in [([1, 7], true), ([7], false), ([1, 4], false)] {
            var node = Simulation(capabilities: NodeCapabilities(numbers: numbers))
            node.list(.named("a"))
            node.run(for: .seconds(60))
            #expect(node.calls.first.map { !$0.probe.stagingPath.isEmpty } == sends)
        }
    }
}
