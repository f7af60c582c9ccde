// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct HealthStateRecheckTests {
    private static let minute = Duration.seconds(60)

    /// A state with so many volumes, of which the first are unhealthy.
    private struct Scene {
        var state = HealthState()
        var now = Duration.zero
        var unhealthy: Set<String>
        var calls: [String: [Duration]] = [:]
        private let handles: [String]

        init(_ volumes: Int, unhealthy: Int, _ scope: HealthState.ProbeScope, interval: Duration) {
            handles = (0..<volumes).map { "h\($0)" }
            self.unhealthy = Set(handles.prefix(unhealthy))
            for number in 0..<volumes { state.bind(.named("claim-\(number)"), handle: "h\(number)") }
            state.beginStrategy(writesStatus: true)
            var random = SeededGenerator(seed: 1)
            state.beginProbing(
                scope,
                interval: minute,
                rechecks: RecheckTiming(interval: interval / 4, period: interval),
                at: .zero,
                using: &random
            )
        }

        func report(_ handle: String) -> VolumeHealthReport {
            unhealthy.contains(handle) ? .abnormal(handle) : .healthy(handle)
        }

        mutating func list() {
            _ = state.sweep(handles.map(report), .complete(.everyVolume, canConfirm: true), at: now)
        }

        /// Each call is responded to at once.
        mutating func run(until end: Duration) {
            while true {
                switch state.nextProbe(at: now) {
                case .run(let handle):
                    calls[handle, default: []].append(now)
                    state.receive(.report(report(handle)), ofVolumeHandle: handle, at: now)
                case .wait(let due):
                    now = min(due ?? end, end)
                    if now == end { return }
                }
            }
        }

        var count: Int { calls.values.map(\.count).reduce(0, +) }
    }

    @Test func `an unhealthy volume is probed four times in an interval, and the others once`() {
        var scene = Scene(100, unhealthy: 1, .everyVolume, interval: Self.minute)
        scene.run(until: Self.minute * 2)
        scene.calls = [:]
        scene.run(until: Self.minute * 6)
        #expect(scene.calls["h0"]?.count == 16)
        #expect(scene.calls.values.count { $0.count == 4 } == 99)
    }

    @Test func `a recovery shows within a quarter of the interval, and ends the calls`() {
        var scene = Scene(3, unhealthy: 1, .whatListsLeaveOpen, interval: .seconds(300))
        scene.list()
        _ = scene.state.reportAll(at: scene.now)
        scene.run(until: .seconds(70))
        #expect(scene.calls.isEmpty)
        scene.unhealthy = []
        scene.run(until: .seconds(76))
        #expect(scene.calls == ["h0": [.seconds(75)]])
        #expect(scene.state.reportAll(at: scene.now).map(\.state.isClear) == [true])
        scene.run(until: .seconds(299))
        #expect(scene.calls["h0", default: []].count <= 2)
        scene.now = .seconds(300)
        scene.list()
        scene.run(until: .seconds(599))
        #expect(scene.calls["h0", default: []].count <= 2)
    }

    @Test func `in an outage of every tenth volume there are at most a quarter more calls`() {
        var scene = Scene(2000, unhealthy: 200, .everyVolume, interval: Self.minute)
        scene.run(until: Self.minute * 2)
        scene.calls = [:]
        scene.run(until: Self.minute * 7)
        #expect(scene.count <= 2000 * 5 * 5 / 4)
        #expect(scene.count >= 2000 * 5 * 6 / 5)
        // Healthy volumes are probed as often as before.
        #expect(scene.calls.values.allSatisfy { $0.count >= 5 })
        // A call for another volume may come first.
        #expect(scene.state.effectiveProbeInterval.map { $0 < Self.minute + .milliseconds(100) } == true)
    }

    @Test(arguments: [HealthState.ProbeScope.everyVolume, .whatListsLeaveOpen])
    func `in an outage of all volumes a quarter of them is remembered for more calls`(scope: HealthState.ProbeScope) {
        var scene = Scene(400, unhealthy: 400, scope, interval: Self.minute)
        scene.list()
        scene.run(until: Self.minute * 2)
        #expect(scene.state.rechecks?.count == 100)
        // When these have recovered, the next list gives others their turn.
        scene.unhealthy.subtract(scene.calls.filter { $0.value.count > 2 }.keys)
        scene.run(until: Self.minute * 3)
        scene.list()
        #expect(scene.state.rechecks?.count == min(100, scene.unhealthy.count))
    }

    @Test func `without the setting a volume is probed once in an interval`() {
        var scene = Scene(10, unhealthy: 10, .everyVolume, interval: .zero)
        scene.run(until: Self.minute * 5)
        #expect(scene.calls.values.allSatisfy { $0.count == 5 })
    }

    /// A list takes time: the response to a call that comes meanwhile is newer than what the list has shown.
    @Test(.tags(.rule3)) func `a call that responds during a list counts more than the page before it`() {
        var scene = Scene(2, unhealthy: 1, .whatListsLeaveOpen, interval: .seconds(300))
        scene.list()
        #expect(scene.state.reportAll(at: scene.now).count == 1)
        scene.state.beginSweep(at: .seconds(300))
        scene.state.receive(.abnormal("h0"), at: .seconds(300))
        scene.unhealthy = []
        scene.now = .seconds(301)
        scene.run(until: .seconds(302))
        #expect(scene.calls["h0"]?.count == 1)
        #expect(scene.state.reportAll(at: .seconds(302)).map(\.state.isClear) == [true])
        scene.state.receive(.healthy("h1"), at: .seconds(303))
        _ = scene.state.endSweep(.complete(.everyVolume, canConfirm: true), at: .seconds(304))
        #expect(scene.state.reportAll(at: .seconds(304)).isEmpty)
    }

    /// A driver whose ControllerGetVolume reads no condition returns every volume as healthy.
    @Test func `calls that contradict the list end after three recoveries that were none`() {
        var scene = Scene(2, unhealthy: 1, .whatListsLeaveOpen, interval: .seconds(300))
        for list in 0..<10 {
            scene.now = .seconds(300 * list)
            scene.unhealthy = ["h0"]
            scene.list()
            #expect(scene.state.callsContradictLists == (list >= 3))
            scene.unhealthy = []
            scene.run(until: .seconds(300 * list + 299))
            _ = scene.state.reportAll(at: scene.now)
        }
        #expect(scene.calls["h0"]?.allSatisfy { $0 < .seconds(900) } == true)
    }

    /// One of anything stops none of the others.
    @Test func `a volume that changes all the time ends the additional calls for itself only`() {
        var scene = Scene(8, unhealthy: 8, .whatListsLeaveOpen, interval: .seconds(300))
        let all = scene.unhealthy
        for list in 0..<10 {
            scene.now = .seconds(300 * list)
            scene.unhealthy = all
            scene.list()
            scene.unhealthy.remove("h0")
            scene.run(until: .seconds(300 * list + 299))
            _ = scene.state.reportAll(at: scene.now)
        }
        #expect(scene.calls["h0"]?.allSatisfy { $0 < .seconds(900) } == true)
        #expect(scene.calls["h1"]?.contains { $0 >= .seconds(2700) } == true)
    }

    @Test func `a call that shows the volume as unhealthy again is no contradiction`() {
        var scene = Scene(2, unhealthy: 1, .whatListsLeaveOpen, interval: .seconds(300))
        for list in 0..<10 {
            scene.now = .seconds(300 * list)
            scene.list()
            scene.unhealthy = []
            scene.run(until: .seconds(300 * list + 80))
            scene.unhealthy = ["h0"]
            scene.state.receive(.report(scene.report("h0")), ofVolumeHandle: "h0", at: .seconds(300 * list + 200))
            _ = scene.state.reportAll(at: scene.now)
        }
        #expect(!scene.state.callsContradictLists)
    }

    @Test func `a list that confirms a recovery makes up for those that refuted one`() {
        var scene = Scene(2, unhealthy: 1, .whatListsLeaveOpen, interval: .seconds(300))
        for list in 0..<12 {
            scene.now = .seconds(300 * list)
            scene.unhealthy = list % 4 == 3 ? [] : ["h0"]
            scene.list()
            scene.unhealthy = []
            scene.run(until: .seconds(300 * list + 299))
            _ = scene.state.reportAll(at: scene.now)
        }
        #expect(!scene.state.callsContradictLists)
    }

    @Test func `a volume without a claim is not probed any more`() {
        var scene = Scene(2, unhealthy: 1, .whatListsLeaveOpen, interval: .seconds(300))
        scene.list()
        scene.state.removeClaim(ClaimKey(namespace: "default", name: "claim-0"), at: scene.now)
        scene.run(until: .seconds(299))
        #expect(scene.calls.isEmpty)
        #expect(scene.state.rechecks?.count == 0)
    }
}
