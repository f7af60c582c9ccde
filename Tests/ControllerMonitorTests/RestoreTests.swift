// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Rule 9: reports survive the process. Each `monitor` is a process of its own, which starts after the previous one has
/// ended.
@Suite(.timeLimit(.minutes(50))) struct RestoreTests {
    static let volume = VolumeFixture(number: 0)

    static func run(_ condition: SimulatedVolume.Condition, _ body: (Scene) async throws -> Void) async throws {
        try await Scene.set { scene in
            try volume.create(in: scene.server)
            scene.driver.set(condition, ofVolume: volume.handle)
            try await body(scene)
        }
    }

    @Test(.tags(.rule9)) func `a new leader does not report a lasting condition again`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            try await scene.monitor { _ in
                await scene.driver.journal.wait(for: "ListVolumes", count: 2)
                for _ in 0..<3 { await scene.sweepAgain() }
            }
            let events = try scene.events()
            #expect(events.map { $0["count"] } == [1])
        }
    }

    @Test(.tags(.rule9)) func `a recovery while no process watched is reported`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            try await scene.monitor { _ in _ = await scene.write(2) }
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    @Test(.tags(.rule9)) func `a reported recovery is not reported again`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in
                _ = await scene.write(1)
                scene.driver.set(.healthy, ofVolume: Self.volume.handle)
                await scene.sweepAgain()
                _ = await scene.write(2)
            }
            try await scene.monitor { _ in
                await scene.driver.journal.wait(for: "ListVolumes", count: 3)
                for _ in 0..<3 { await scene.sweepAgain() }
            }
            let events = try scene.events()
            #expect(events.map { $0["count"] } == [1, 1])
        }
    }

    @Test(.tags(.rule9)) func `a relapse after a reported recovery raises the count of the first event`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in
                _ = await scene.write(1)
                scene.driver.set(.healthy, ofVolume: Self.volume.handle)
                await scene.sweepAgain()
                _ = await scene.write(2)
            }
            scene.driver.set(.abnormal("broken again"), ofVolume: Self.volume.handle)
            try await scene.monitor { _ in _ = await scene.write(1, .patch, of: "events") }
            let abnormal = try scene.events().filter { $0["reason"] == "VolumeConditionAbnormal" }
            #expect(abnormal.map { $0["count"] } == [2])
            #expect(abnormal.map { $0["message"] } == ["broken again"])
        }
    }

    /// The events of external-health-monitor have names that cannot be predicted.
    @Test(.tags(.rule9)) func `the reports of external-health-monitor are known too`() async throws {
        try await Self.run(.healthy) { scene in
            let claim = try #require(
                try scene.server.object(kind: "PersistentVolumeClaim", namespace: "default", name: "csi-pvc")
            )
            try scene.server.create([
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": ["namespace": "default", "name": "csi-pvc.17a1b2c3d4e5f607"],
                "involvedObject": [
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": "csi-pvc",
                    "uid": try #require(claim["metadata", "uid"]),
                ],
                "reason": "VolumeConditionAbnormal",
                "message": "broken",
                "type": "Warning",
                "source": ["component": "csi-pv-monitor-controller-hostpath.csi.k8s.io"],
                "count": 141,
            ])
            try await scene.monitor { _ in _ = await scene.write(1) }
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    /// The API server checks that an event is in the namespace of its object. It does not check the object's UID.
    @Test func `an event in another namespace with the UID of a claim changes nothing`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            let uid = try #require(try scene.events().first?["involvedObject", "uid"])
            try scene.server.create(["kind": "Namespace", "metadata": ["name": "tenant"]])
            try scene.server.create([
                "kind": "Event", "metadata": ["namespace": "tenant", "name": "forged"],
                "involvedObject": [
                    "kind": "PersistentVolumeClaim", "namespace": "tenant", "name": "csi-pvc", "uid": uid,
                ],
                "reason": "VolumeConditionNormal",
                "source": ["component": "csi-pv-monitor-controller-hostpath.csi.k8s.io"],
            ])
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            try await scene.monitor { _ in _ = await scene.write(2) }
            let events = try scene.events().filter { $0["metadata", "namespace"] == "default" }
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    /// One response to the recovery's event does not come from the API server.
    @Test(arguments: ["<html>404 Not Found</html>", "404 page not found\n"])
    func `a 404 without a Status does not lose a recovery`(body: String) async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in
                _ = await scene.write(1)
                scene.server.intercept { request in
                    guard request.verb == .create, request.resource == "events" else { return nil }
                    return .respond(status: 404, headers: ["Content-Type": "text/html"], body: Array(body.utf8))
                }
                scene.driver.set(.healthy, ofVolume: Self.volume.handle)
                await scene.sweepAgain()
                _ = await scene.server.journal.first { $0.request.verb == .create && $0.code == 404 }
                scene.server.intercept(nil)
                await withTaskGroup { group in
                    group.addTask { _ = await scene.write(2) }
                    group.addTask {
                        while !Task.isCancelled {
                            _ = await scene.clock.sleeper(ofAtLeast: .milliseconds(1))
                            scene.clock.advance(by: .seconds(60))
                        }
                    }
                    await group.next()
                    group.cancelAll()
                }
            }
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    @Test(.tags(.rule9)) func `nothing is reported before earlier reports have been read back`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            scene.server.intercept { request in
                guard request.verb == .list, request.resource == "events" else { return nil }
                return .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "away"), headers: [:])
            }
            let created = scene.server.journal.records.count { $0.request.verb == .create }
            try await scene.monitor { _ in
                let before = scene.driver.journal.calls("ListVolumes").count
                // The second attempt to read back, five seconds after the first.
                await scene.clock.sleeper(ofAtLeast: .seconds(5), atMost: .seconds(5))
                scene.clock.advance(by: .seconds(5))
                await scene.clock.sleeper(ofAtLeast: .seconds(15), atMost: .seconds(15))
                #expect(scene.driver.journal.calls("ListVolumes").count == before)
                scene.server.intercept(nil)
                scene.clock.advance(by: .seconds(15))
                await scene.driver.journal.wait(for: "ListVolumes", count: before + 1)
                await scene.sweepAgain()
            }
            #expect(scene.server.journal.records.count { $0.request.verb == .create } == created)
            let events = try scene.events()
            #expect(events.map { $0["count"] } == [1])
        }
    }

    /// A missing rule, and a list that takes longer than the API server allows
    /// (https://github.com/kubernetes/kubernetes/issues/81906).
    @Test(arguments: [
        StatusError(code: 403, reason: "Forbidden", message: "no"),
        StatusError(code: 504, reason: "Timeout", message: "the server was unable to return a response"),
    ])
    func `events that cannot be read back delay nothing for more than three attempts`(error: StatusError) async throws {
        try await Self.run(.abnormal("broken")) { scene in
            scene.server.intercept { request in
                guard request.verb == .list, request.resource == "events" else { return nil }
                return .fail(error, headers: [:])
            }
            try await scene.monitor { _ in
                for pause in [5, 15] {
                    await scene.clock.sleeper(ofAtLeast: .seconds(pause), atMost: .seconds(pause))
                    scene.clock.advance(by: .seconds(pause))
                }
                _ = await scene.write(1)
            }
            #expect(scene.server.journal.records.count { $0.code == error.code } == 3)
            #expect(try scene.events().count == 1)
        }
    }

    @Test func `a recovery before events could be read back is recorded once they can`() async throws {
        try await Self.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            scene.server.intercept { request in
                guard request.verb == .list, request.resource == "events" else { return nil }
                return .fail(StatusError(code: 403, reason: "Forbidden", message: "not yet"), headers: [:])
            }
            try await scene.monitor { _ in
                for pause in [5, 15] {
                    await scene.clock.sleeper(ofAtLeast: .seconds(pause), atMost: .seconds(pause))
                    scene.clock.advance(by: .seconds(pause))
                }
                await scene.driver.journal.wait(for: "ListVolumes", count: 2)
                scene.server.intercept(nil)
                let lists = scene.server.journal.records.count { $0.request.verb == .list }
                await scene.clock.sleeper(ofAtLeast: .seconds(290), atMost: .seconds(300))
                scene.clock.advance(by: .seconds(300))
                while scene.server.journal.records.count(where: { $0.request.verb == .list }) < lists + 3 {
                    await pollingPause()
                }
                await scene.sweepAgain()
                _ = await scene.write(2)
            }
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }
}
