// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import HealthRuntime
import InMemoryLogging
import Logging
import NodeCore
import NodeMonitor
import Testing

/// One of anything stops none of the others.
@Suite(.timeLimit(.minutes(50))) struct FailureDomainTests {
    static let volume = VolumeFixture(number: 0)

    @Test(.tags(.rule10)) func `a volume whose call hangs keeps no other from its interval`() async throws {
        try await NodeScene.run { scene in
            let uid = try scene.createPod()
            for number in 1...5 { try scene.createPod("app-\(number)", VolumeFixture(number: number)) }
            scene.driver.respond(.never, atPath: NodeMonitorTests.publishPath.replacing("POD", with: uid))
        } _: { scene, monitor in
            try await scene.advance(untilProbed: Self.volume.handle, 1)
            scene.set("gone", ofVolume: "volume-3")
            try await scene.advance(untilEvents: 1)
            for number in 1...5 { try await scene.advance(untilProbedAgain: "volume-\(number)", 5) }
            // The call is still under way, and there is no second one for this volume.
            #expect(scene.probes(of: Self.volume.handle).count == 1)
            #expect(monitor.status().drivers.map(\.isHanging) == [false])
        }
    }

    @Test(.tags(.rule1)) func `a volume without a response is probed less often and keeps its state`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            try scene.createPod("other", VolumeFixture(number: 1))
            scene.set("gone", ofVolume: Self.volume.handle)
        } _: { scene, monitor in
            try await scene.advance(untilEvents: 1)
            scene.driver.intercept { call in
                call.volumeID == Self.volume.handle ? .fail(.deadlineExceeded, "no response") : nil
            }
            let (hung, healthy) = (scene.probes(of: Self.volume.handle).count, scene.probes(of: "volume-1").count)
            try await scene.advance(untilProbed: "volume-1", healthy + 20)
            let calls = scene.probes(of: Self.volume.handle).count - hung
            // After 1, 2, 4, 8 and 16 intervals.
            #expect((3...6).contains(calls), "\(calls)")
            #expect(try scene.events().map { $0["reason"] } == ["VolumeConditionAbnormal"])
            let snapshot = monitor.snapshot()
            #expect(snapshot.unresponsive.map(\.volume.podName) == ["my-csi-app"])
            #expect(snapshot.unhealthy.map(\.volume.podName) == ["my-csi-app"])
        }
    }

    @Test(.tags(.rule10)) func `claims that may not be read in one namespace stop no other`() async throws {
        var forbidden = VolumeFixture(number: 1)
        forbidden.namespace = "forbidden"
        let other = forbidden
        try await NodeScene.run { scene in
            try scene.createPod()
            try scene.createPod("other", other)
            scene.set("gone", ofVolume: Self.volume.handle)
            scene.server.intercept { request in
                request.resource == "persistentvolumeclaims" && request.namespace == "forbidden"
                    ? .fail(StatusError(code: 403, reason: "Forbidden", message: "persistentvolumeclaims is forbidden"))
                    : nil
            }
        } _: { scene, monitor in
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 3)
            #expect(scene.probes(of: other.handle).isEmpty)
            #expect(monitor.snapshot().unresolvedClaims == 1)
            #expect(scene.requests(for: "persistentvolumeclaims").filter { $0.namespace == "forbidden" }.count <= 2)
            let warnings = scene.log.entries.filter { $0.message == "Failed to read the volume of a claim, retrying" }
            #expect(warnings.map(\.level) == [.warning])
        }
    }

    @Test(.tags(.rule10)) func `a read that hangs stops no other`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            for number in 1...3 { try scene.createPod("app-\(number)", VolumeFixture(number: number)) }
            scene.server.intercept { $0.name == Self.volume.claimName ? .hold : nil }
        } _: { scene, _ in
            for number in 1...3 { try await scene.advance(untilProbed: "volume-\(number)", 1) }
            #expect(scene.probes(of: Self.volume.handle).isEmpty)
        }
    }

    @Test(.tags(.rule10)) func `events that are refused in one namespace stop no other`() async throws {
        var refused = VolumeFixture(number: 1)
        refused.namespace = "refused"
        let other = refused
        try await NodeScene.run { scene in
            try scene.createPod("refused", other)
            scene.set("gone", ofVolume: other.handle)
            scene.server.intercept { request in
                request.resource == "events" && request.namespace == "refused" && request.verb == .create
                    ? .fail(StatusError(code: 403, reason: "Forbidden", message: "events is forbidden")) : nil
            }
        } _: { scene, monitor in
            try await scene.advance { scene.requests(for: "events", .create).count >= 2 }
            try await scene.advance { (monitor.reportFailure()?.age ?? .zero) >= .seconds(60) }
            let failure = monitor.reportFailure()
            #expect(failure?.failing == 1 && failure?.waiting == 1)
            #expect(failure?.error?.contains("events is forbidden") == true)
            try scene.createPod()
            scene.set("gone", ofVolume: Self.volume.handle)
            try await scene.advance(untilEvents: 1)
            #expect(try scene.events().map { $0["metadata", "namespace"] } == ["default"])
            scene.server.intercept(nil)
            try await scene.advance(untilEvents: 2)
            try await scene.advance { monitor.reportFailure() == nil }
        }
    }

    /// As with an admission webhook that does not respond.
    @Test(.tags(.rule10)) func `events that hang in several namespaces stop no other`() async throws {
        try await NodeScene.run { scene in
            for number in 1...4 {
                var volume = VolumeFixture(number: number)
                volume.namespace = "hung-\(number)"
                try scene.createPod("app", volume)
                scene.set("gone", ofVolume: volume.handle)
            }
            scene.server.intercept { request in
                request.resource == "events" && request.namespace != "default" && request.verb == .create ? .hold : nil
            }
        } _: { scene, _ in
            try await scene.advance { scene.requests(for: "events", .create).count == 4 }
            try scene.createPod()
            scene.set("gone", ofVolume: Self.volume.handle)
            try await scene.advance(untilEvents: 1)
            #expect(try scene.events().map { $0["metadata", "namespace"] } == ["default"])
        }
    }

    @Test(.tags(.rule11)) func `a claim that is not bound yet is read again until it is`() async throws {
        try await NodeScene.run { scene in
            try scene.server.create([
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": ["namespace": "default", "name": "csi-pvc"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
                "status": ["phase": "Pending"],
            ])
            try PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
                .create(in: scene.server)
        } _: { scene, _ in
            try await scene.advance { scene.requests(for: "persistentvolumeclaims").count >= 3 }
            #expect(scene.requests(for: "persistentvolumes").isEmpty)
            try scene.server.delete(kind: "PersistentVolumeClaim", namespace: "default", name: "csi-pvc")
            try Self.volume.create(in: scene.server)
            scene.set(nil, ofVolume: Self.volume.handle)
            try await scene.advance(untilProbed: Self.volume.handle, 1)
        }
    }

    @Test(.tags(.rule10)) func `an outage of the API server loses no report`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
        } _: { scene, _ in
            try await scene.advance(untilProbed: Self.volume.handle, 2)
            await scene.server.stopListening()
            scene.set("gone", ofVolume: Self.volume.handle)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            try await scene.server.listenAgain()
            try await scene.advance(untilEvents: 1)
            #expect(try scene.events().map { $0["count"] } == [1])
        }
    }
}
