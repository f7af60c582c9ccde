// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

struct StorageHealthTests {
    static let unreachable = StorageHealth([.init(status: .unreachable, reason: "NoPath", message: "port 1")])
    static let capabilities = NodeCapabilities(strategy: .none, reportsStorageHealth: true)

    struct Node {
        var state: NodeHealthState
        var now = Duration.zero
        var events: [StorageHealth] = []
        var causes: [ReportCause] = []
        var probes: [Duration] = []

        init(recordsEvents: Bool = true) {
            state = NodeHealthState(configuration: .init(recordsStorageEvents: recordsEvents), seed: 1)
            state.driverConnected(driverName, StorageHealthTests.capabilities, at: now)
        }

        mutating func run(for duration: Duration, _ outcome: StorageProbeOutcome) {
            let end = now + duration
            while now < end {
                var next = end
                switch state.nextStorageProbe(at: now) {
                case .run(let probe):
                    probes.append(now)
                    _ = state.complete(storageProbe: probe, outcome, at: now)
                    next = now
                case .wait(let due): next = min(due ?? end, end)
                }
                while case .run(let report) = state.nextStorageEvent(at: now) {
                    events.append(report.state)
                    causes.append(report.cause)
                    state.complete(storageEvent: report, .reported, at: now)
                }
                now = next
            }
        }
    }

    @Test func `storage is probed once per interval, and a change is one event`() {
        var node = Node()
        node.run(for: .seconds(600), .health(.healthy))
        #expect((9...10).contains(node.probes.count))
        #expect(node.events.isEmpty)
        node.run(for: .seconds(600), .health(Self.unreachable))
        node.run(for: .seconds(600), .failed(.internal))
        node.run(for: .seconds(600), .health(.healthy))
        #expect(node.events == [Self.unreachable, .healthy])
    }

    @Test func `events are recorded only where that is configured`() {
        var node = Node(recordsEvents: false)
        node.run(for: .seconds(600), .health(Self.unreachable))
        #expect(node.events.isEmpty)
        #expect(node.state.snapshot(at: node.now).drivers.map(\.storage) == [Self.unreachable])
    }

    @Test(.tags(.rule3)) func `after a reconnection the second healthy response is a recovery`() {
        var node = Node()
        node.run(for: .seconds(120), .health(Self.unreachable))
        node.state.driverDisconnected(driverName)
        node.state.driverConnected(driverName, Self.capabilities, at: node.now)
        node.run(for: .seconds(20), .health(.healthy))
        #expect(node.events == [Self.unreachable])
        node.run(for: .seconds(60), .health(.healthy))
        #expect(node.events == [Self.unreachable, .healthy])
    }

    @Test func `storage whose health the driver cannot report any more is not refreshed`() {
        var node = Node()
        node.run(for: .seconds(120), .health(Self.unreachable))
        node.run(for: .seconds(7200), .failed(.unimplemented))
        #expect(node.causes == [.transition])
        #expect(node.state.snapshot(at: node.now).drivers.map(\.storage) == [nil])
        node.state.driverDisconnected(driverName)
        node.state.driverConnected(driverName, Self.capabilities, at: node.now)
        node.run(for: .seconds(20), .health(.healthy))
        #expect(node.events == [Self.unreachable])
        node.run(for: .seconds(60), .health(.healthy))
        #expect(node.events == [Self.unreachable, .healthy])
    }

    @Test func `after UNIMPLEMENTED storage is not probed, and volumes are`() {
        var node = Node()
        node.run(for: .seconds(600), .failed(.unimplemented))
        #expect(node.probes.count == 1)
        #expect(node.state.drivers[driverName]?.needsCapabilities == false)
        node.state.capabilitiesRead(driverName, Self.capabilities, at: node.now)
        node.run(for: .seconds(600), .failed(.unimplemented))
        #expect(node.probes.count == 1)
        let changed = NodeCapabilities(strategy: .health, reportsStorageHealth: true)
        node.state.capabilitiesRead(driverName, changed, at: node.now)
        node.run(for: .seconds(600), .failed(.unimplemented))
        #expect(node.probes.count == 2)
        node.state.driverDisconnected(driverName)
        node.state.driverConnected(driverName, changed, at: node.now)
        node.run(for: .seconds(600), .health(.healthy))
        #expect(node.probes.count > 10)
    }

    @Test(.tags(.rule9), arguments: [true, false])
    func `a driver that is removed and returns neither repeats an event nor loses the recovery`(recovers: Bool) {
        var node = Node()
        node.run(for: .seconds(120), .health(Self.unreachable))
        #expect(node.events == [Self.unreachable])
        node.state.driverRemoved(driverName, at: node.now)
        // Longer than the time to a refresh: nothing is recorded for a driver that is away.
        node.run(for: .seconds(3000), .failed(.other))
        #expect(node.events == [Self.unreachable])
        let (events, probes) = (node.events.count, node.probes.count)
        node.state.driverConnected(driverName, Self.capabilities, at: node.now)
        node.run(for: .seconds(130), .health(recovers ? .healthy : Self.unreachable))
        #expect(node.probes.count > probes)
        #expect(node.causes.dropFirst(events) == (recovers ? [.transition] : [.refresh]))
        #expect(node.events.last == (recovers ? .healthy : Self.unreachable))
    }

    @Test func `calls without a response become rarer`() {
        var node = Node()
        node.run(for: .seconds(24 * 3600), .failed(.deadlineExceeded))
        #expect((48...56).contains(node.probes.count))
    }

    @Test(.tags(.rule6)) func `conditions are in one order, once each, and those of unknown types are kept`() {
        let conditions: [StorageHealth.Condition] = [
            .init(status: .unknown(7), reason: "Odd", message: ""),
            .init(status: .degraded, reason: "Slow", message: "b"),
            .init(status: .unreachable, reason: "NoPath", message: "port 1"),
            .init(status: .degraded, reason: "Slow", message: "a"),
        ]
        let health = StorageHealth(conditions)
        #expect(health == StorageHealth(conditions.reversed()))
        #expect(
            health.summary == "StorageUnreachable (NoPath): port 1; StorageDegraded (Slow): a; Unknown (Odd)"
        )
        #expect(!StorageHealth([conditions[0]]).isClear)
    }
}
