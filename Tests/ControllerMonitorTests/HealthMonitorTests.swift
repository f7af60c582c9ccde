// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import GRPCTransport
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// The whole controller between a simulated API server and a simulated driver, over real sockets.
@Suite(.timeLimit(.minutes(50))) struct HealthMonitorTests {
    static let volume = VolumeFixture(number: 0)

    /// One bound pair, and the condition that the driver returns.
    static func oneVolume(_ condition: SimulatedVolume.Condition?) -> (Scene) throws -> Void {
        { scene in
            try volume.create(in: scene.server)
            scene.driver.set(condition, ofVolume: volume.handle)
        }
    }

    @Test func `an abnormal volume becomes an event on its claim`() async throws {
        let message = "The source path of the volume doesn't exist"
        try await Scene.run(prepare: Self.oneVolume(.abnormal(message))) { scene in
            _ = await scene.write(1)
            let event = try #require(try scene.events().first)
            let claim = try #require(
                try scene.server.object(kind: "PersistentVolumeClaim", namespace: "default", name: "csi-pvc")
            )
            #expect(event["type"] == "Warning")
            #expect(event["reason"] == "VolumeConditionAbnormal")
            #expect(event["message"] == .string(message))
            #expect(event["count"] == 1)
            #expect(event["source", "component"] == "csi-pv-monitor-controller-hostpath.csi.k8s.io")
            #expect(event["reportingInstance"] == "csi-hostpathplugin-0")
            #expect(event["metadata", "namespace"] == "default")
            var involved = try #require(event["involvedObject"])
            #expect(involved["resourceVersion"]?.string?.isEmpty == false)
            // The status is written at the same time.
            involved["resourceVersion"] = nil
            #expect(
                involved == [
                    "kind": "PersistentVolumeClaim",
                    "apiVersion": "v1",
                    "namespace": "default",
                    "name": "csi-pvc",
                    "uid": try #require(claim["metadata", "uid"]),
                ]
            )
        }
    }

    @Test func `a recovery is reported once after the condition`() async throws {
        try await Scene.run(prepare: Self.oneVolume(.abnormal("broken"))) { scene in
            _ = await scene.write(1)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            for _ in 0..<3 { await scene.sweepAgain() }
            _ = await scene.write(2)
            await scene.driver.journal.wait(for: "ListVolumes", count: 4)
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(events.last?["type"] == "Normal")
            #expect(events.last?["message"] == "The Volume returns to the healthy state")
        }
    }

    @Test(.tags(.rule8)) func `a lasting condition raises the count of its event slowly`() async throws {
        try await Scene.run(prepare: Self.oneVolume(.abnormal("broken"))) { scene in
            _ = await scene.write(1)
            while !scene.server.journal.records.contains(where: {
                $0.request.resource == "events" && $0.request.verb == .patch && $0.code == 200
            }) {
                await scene.sweepAgain()
            }
            #expect(scene.clock.now.offset >= .seconds(1800))
            #expect(scene.driver.journal.calls("ListVolumes").count >= 6)
            let events = try scene.events()
            #expect(events.count == 1)
            #expect(events.first?["count"] == 2)
        }
    }

    @Test(.tags(.rule12)) func `a healthy volume causes no writes and no further reads`() async throws {
        try await Scene.run(prepare: Self.oneVolume(.healthy)) { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            for count in 2...5 {
                await scene.sweepAgain()
                await scene.driver.journal.wait(for: "ListVolumes", count: count)
            }
            let requests = scene.server.journal.records.map(\.request)
            #expect(Set(requests.map(\.verb)).isSubset(of: [.list, .watch]))
            #expect(Set(requests.map(\.resource)) == ["persistentvolumes", "persistentvolumeclaims", "events"])
            // Volumes and claims: a list and its watch in one request each.
            #expect(requests.filter { $0.verb == .watch }.count == 2)
            // The reports to read back: abnormal, normal and unknown conditions, and volumes without a response.
            #expect(requests.filter { $0.verb == .list }.count == 4)
        }
    }

    @Test(.tags(.rule1)) func `a failed list changes nothing and is retried soon`() async throws {
        try await Scene.run(prepare: Self.oneVolume(.abnormal("broken"))) { scene in
            _ = await scene.write(1)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            scene.driver.intercept { call in
                call.method.hasSuffix("ListVolumes") ? .fail(.internal, "backend lost") : nil
            }
            await scene.sweepAgain()
            await scene.driver.journal.wait(for: "ListVolumes", count: 2)
            // After five seconds, not at the next interval.
            await scene.clock.sleeper(ofAtLeast: .milliseconds(1), atMost: .seconds(5))
            let unchanged = try scene.events()
            #expect(unchanged.count == 1)

            scene.driver.intercept(nil)
            scene.clock.advance(by: .seconds(5))
            _ = await scene.write(2)
            let events = try scene.events()
            #expect(events.last?["reason"] == "VolumeConditionNormal")
        }
    }

    @Test(.tags(.rule2)) func `a list that fails halfway reports what it found and clears nothing`() async throws {
        let broken = VolumeFixture(number: 1)
        try await Scene.run { scene in
            try Self.oneVolume(.abnormal("first"))(scene)
            try broken.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: broken.handle)
            scene.driver.configuration.pageSize = 1
        } _: { scene in
            _ = await scene.write(1)
            scene.driver.volumes = [
                SimulatedVolume(id: Self.volume.handle, condition: .healthy),
                SimulatedVolume(id: broken.handle, condition: .abnormal("second")),
                SimulatedVolume(id: "never reached"),
            ]
            scene.driver.intercept { call in call.startingToken == "2" ? .fail(.unavailable, "lost") : nil }
            await scene.sweepAgain()
            _ = await scene.write(2)
            let events = try scene.events()
            #expect(events.map { $0["message"] } == ["first", "second"])
        }
    }

    @Test func `volumes of other drivers and claims without volumes are ignored`() async throws {
        let other = VolumeFixture(number: 1, driverName: "other.csi.example")
        try await Scene.run { scene in
            try other.create(in: scene.server)
            scene.driver.set(.abnormal("not ours"), ofVolume: other.handle)
            try Self.oneVolume(.abnormal("ours"))(scene)
        } _: { scene in
            _ = await scene.write(1)
            await scene.sweepAgain()
            await scene.driver.journal.wait(for: "ListVolumes", count: 2)
            let events = try scene.events()
            #expect(events.map { $0["message"] } == ["ours"])
        }
    }

    /// EHM never monitors a volume that was not Bound when it was first seen.
    @Test(.tags(.rule11)) func `a volume that is bound later is monitored`() async throws {
        try await Scene.run { scene in
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            try scene.server.create(Self.volume.volume(claimUID: "", phase: "Available"))
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            try scene.server.delete(kind: "PersistentVolume", name: Self.volume.volumeName)
            try Self.volume.create(in: scene.server)
            // The watch takes its own time: sweep until the event is there.
            while try scene.events().isEmpty {
                scene.clock.advance(by: Scene.interval)
                await pollingPause()
            }
            let events = try scene.events()
            #expect(events.first?["involvedObject", "name"] == "csi-pvc")
        }
    }

    @Test(.tags(.rule11)) func `both claims of a shared handle are reported`() async throws {
        var second = VolumeFixture(number: 1)
        second.handle = Self.volume.handle
        try await Scene.run { scene in
            try Self.oneVolume(.abnormal("broken"))(scene)
            try second.create(in: scene.server)
        } _: { scene in
            _ = await scene.write(2)
            let claims = try scene.events().map { $0["involvedObject", "name"]?.string }
            #expect(Set(claims) == ["csi-pvc", "csi-pvc-1"])
        }
    }

    /// Fault 5 of EHM: it watches all events, nodes and pods of the cluster.
    @Test func `only volumes and claims are watched`() async throws {
        try await Scene.run(prepare: Self.oneVolume(.abnormal("broken"))) { scene in
            _ = await scene.write(1)
            let watched = scene.server.journal.records.map(\.request).filter { $0.verb == .watch }.map(\.resource)
            #expect(Set(watched) == ["persistentvolumes", "persistentvolumeclaims"])
        }
    }

    @Test func `an unavailable API server delays the event and loses nothing`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume(.abnormal("broken"))(scene)
            scene.server.intercept { request in
                guard request.verb == .create else { return nil }
                return .fail(
                    StatusError(code: 503, reason: "ServiceUnavailable", message: "etcd is away"),
                    headers: [:]
                )
            }
        } _: { scene in
            _ = await scene.server.journal.first { $0.request.verb == .create && $0.code == 503 }
            scene.server.intercept(nil)
            while try scene.events().isEmpty {
                scene.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            let events = try scene.events()
            #expect(events.count == 1)
            #expect(events.first?["count"] == 1)
        }
    }

    /// The server stores the event, and the connection breaks before the response. Meanwhile the volume recovers.
    @Test(.tags(.rule10)) func `a recovery after a lost response is reported`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume(.abnormal("broken"))(scene)
            let server = scene.server
            server.intercept { request in
                guard request.verb == .create, request.resource == "events", let event = request.body else {
                    return nil
                }
                _ = try? server.create(event)
                return .cut
            }
        } _: { scene in
            _ = await scene.server.journal.first { $0.request.verb == .create }
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            scene.server.intercept(nil)
            while try scene.events().last?["reason"] != "VolumeConditionNormal" {
                scene.clock.advance(by: .seconds(10))
                await pollingPause()
            }
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons.count == 2)
            #expect(reasons.contains("VolumeConditionAbnormal"))
        }
    }

    @Test func `a driver without the capability is checked again, and the monitor keeps running`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume(.abnormal("broken"))(scene)
            scene.driver.configuration.controllerCapabilities = [1, 3]
        } _: { scene in
            await scene.driver.journal.wait(for: "ControllerGetCapabilities", count: 1)
            scene.driver.configuration.controllerCapabilities = [3, 11]
            while scene.driver.journal.calls("ListVolumes").isEmpty {
                scene.clock.advance(by: .seconds(5))
                await pollingPause()
            }
            _ = await scene.write(1)
            let events = try scene.events()
            #expect(events.count == 1)
        }
    }

    @Test func `a driver that restarts is probed again`() async throws {
        try await Scene.run(prepare: Self.oneVolume(.healthy)) { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            await scene.driver.stop()
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            try scene.driver.start()
            while try scene.events().isEmpty {
                scene.clock.advance(by: .seconds(10))
                await pollingPause()
            }
            let events = try scene.events()
            #expect(events.first?["message"] == "broken")
        }
    }

    @Test func `another driver on the socket ends the monitor`() async throws {
        let error = await #expect(throws: DriverChangedError.self) {
            try await Scene.run(prepare: Self.oneVolume(.healthy)) { scene in
                await scene.driver.journal.wait(for: "ListVolumes", count: 1)
                scene.driver.configuration.name = "other.csi.example"
                scene.clock.advance(by: await scene.clock.sleeper(ofAtLeast: .milliseconds(1), atMost: Scene.interval))
                let (never, _) = AsyncStream.makeStream(of: Never.self)
                for await _ in never {}
            }
        }
        #expect(error?.description.contains("calls itself other.csi.example now, it was hostpath.csi.k8s.io") == true)
    }
}
