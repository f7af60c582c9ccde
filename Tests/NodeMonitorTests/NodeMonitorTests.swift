// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import InMemoryLogging
import NodeMonitor
import Testing

/// The agent between a simulated API server and a simulated driver, over real sockets.
@Suite(.timeLimit(.minutes(50))) struct NodeMonitorTests {
    static let volume = VolumeFixture(number: 0)
    static let publishPath = "/var/lib/kubelet/pods/POD/volumes/kubernetes.io~csi/\(volume.volumeName)/mount"

    @Test(
        .tags(.rule7),
        arguments: [
            (SimulatedDriver.Configuration.legacyNode, "The volume isn't mounted"),
            (.healthNode, "Inaccessible (MountLost): The volume isn't mounted"),
        ]
    )
    func `an abnormal volume becomes an event on its pod`(
        driver: SimulatedDriver.Configuration,
        text: String
    ) async throws {
        try await NodeScene.run(driver) { scene in
            try scene.createPod()
            scene.set("The volume isn't mounted", ofVolume: Self.volume.handle)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            let event = try #require(try scene.events().first)
            let pod = try #require(try scene.server.object(kind: "Pod", namespace: "default", name: "my-csi-app"))
            #expect(event["type"] == "Warning")
            #expect(event["reason"] == "VolumeConditionAbnormal")
            #expect(event["message"] == .string("Volume data-0 (claim csi-pvc): \(text)"))
            #expect(event["count"] == 1)
            #expect(event["source"] == ["component": "csi-pv-monitor-agent-hostpath.csi.k8s.io", "host": "node-1"])
            #expect(event["reportingInstance"] == "node-1")
            #expect(
                event["involvedObject"] == [
                    "kind": "Pod", "apiVersion": "v1", "namespace": "default", "name": "my-csi-app",
                    "uid": try #require(pod["metadata", "uid"]),
                ]
            )
        }
    }

    @Test(arguments: [SimulatedDriver.Configuration.legacyNode, .healthNode])
    func `a recovery is recorded once after the condition`(driver: SimulatedDriver.Configuration) async throws {
        try await NodeScene.run(driver) { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.volume.handle)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            scene.set(nil, ofVolume: Self.volume.handle)
            try await scene.advance(untilEvents: 2)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 5)
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(events.map { $0["count"] } == [1, 1])
            #expect(events.last?["type"] == "Normal")
            #expect(
                events.last?["message"] == "Volume data-0 (claim csi-pvc): The Volume returns to the healthy state"
            )
        }
    }

    @Test func `a driver gets the paths that the kubelet passed to it`() async throws {
        try await NodeScene.run(.healthNode) { scene in
            try scene.createPod()
        } _: { scene, _ in
            try await scene.advance(untilProbed: Self.volume.handle, 1)
            let call = try #require(scene.probes(of: Self.volume.handle).first)
            let pod = try #require(try scene.server.object(kind: "Pod", namespace: "default", name: "my-csi-app"))
            let uid = try #require(pod["metadata", "uid"]?.string)
            #expect(call.volumePath == Self.publishPath.replacing("POD", with: uid))
            #expect(
                call.stagingTargetPath == """
                    /var/lib/kubelet/plugins/kubernetes.io/csi/hostpath.csi.k8s.io/\
                    246134e380e165c0df4f6f38c67694fdd9d65bf0dc68ce26962319f772e43dde/globalmount
                    """
            )
        }
    }

    @Test(.tags(.rule12))
    func `fault 10, while all is well there is one watch, three reads for a volume, and no write`() async throws {
        try await NodeScene.run { scene in
            for number in 0..<3 { try scene.createPod("app-\(number)", VolumeFixture(number: number)) }
        } _: { scene, _ in
            for number in 0..<3 { try await scene.advance(untilProbed: VolumeFixture(number: number).handle, 10) }
            // On a busy machine, the server may end the watch meanwhile, or the client does after minutes without a byte.
            let hasFailed = scene.log.entries.contains { "\($0.message)" == "Failed to watch, retrying" }
            let pods = scene.requests(for: "pods")
            let continued = pods.dropFirst().filter {
                hasFailed || $0.verb == .watch && $0.query["sendInitialEvents"] == nil
            }
            #expect(scene.server.journal.records.count - continued.count == 10)
            #expect(hasFailed || Set(pods.map(\.verb)) == [.watch])
            #expect(
                pods.first?.query["fieldSelector"]
                    == "spec.nodeName=node-1,status.phase!=Succeeded,status.phase!=Failed"
            )
            let reads = scene.requests(for: "persistentvolumeclaims") + scene.requests(for: "persistentvolumes")
            #expect(reads.map(\.verb) == Array(repeating: .get, count: 6))
            #expect(reads.allSatisfy { $0.query == ["resourceVersion": "0"] })
            // What an earlier process may have reported on pods that are older than this one.
            #expect(scene.requests(for: "events").map(\.verb) == [.get, .get, .get])
        }
    }

    @Test func `a pod that has not started is not probed`() async throws {
        var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
        (pod.hasStarted, pod.phase) = (false, "Pending")
        let pending = pod
        try await NodeScene.run { scene in
            try Self.volume.create(in: scene.server)
            // The driver has nothing mounted yet, which is not a failure.
            scene.set("The volume isn't mounted", ofVolume: Self.volume.handle)
            try pending.create(in: scene.server)
            try scene.createPod("other", VolumeFixture(number: 1))
        } _: { scene, _ in
            try await scene.advance(untilProbed: "volume-1", 3)
            #expect(scene.probes(of: Self.volume.handle).isEmpty)
            #expect(try scene.events().isEmpty)
            scene.set(nil, ofVolume: Self.volume.handle)
            var started = pending
            try started.start(in: scene.server)
            try await scene.advance(untilProbed: Self.volume.handle, 1)
        }
    }

    @Test func `a response that arrives when the pod is being deleted does not count`() async throws {
        let (held, hold) = AsyncStream.makeStream(of: Void.self)
        let (began, begin) = AsyncStream.makeStream(of: Void.self)
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.driver.intercept { call in
                guard call.volumeID == Self.volume.handle else { return nil }
                begin.yield()
                for await _ in held { break }
                return .nodeCondition(.abnormal("The volume isn't mounted"))
            }
        } _: { scene, _ in
            try await scene.advance(untilProbed: Self.volume.handle, 1)
            for await _ in began { break }
            let pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
            try pod.terminate(in: scene.server)
            // The watch is in order: when this pod is probed, the deletion has arrived.
            try scene.createPod("other", VolumeFixture(number: 1))
            try await scene.advance(untilProbed: "volume-1", 1)
            hold.finish()
            scene.set("gone", ofVolume: "volume-1")
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: "volume-1", 2)
            #expect(try scene.events().map { $0["involvedObject", "name"] } == ["other"])
            #expect(scene.probes(of: Self.volume.handle).count == 1)
        }
    }

    @Test func `a pod that replaces another under its name is another pod`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.volume.handle)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            scene.set(nil, ofVolume: Self.volume.handle)
            var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
            let uid = try pod.replace(in: scene.server)
            try await scene.advance { scene.probes(of: Self.volume.handle).last?.volumePath.contains(uid) == true }
            // Nothing has recovered.
            try await scene.advance(untilProbedAgain: Self.volume.handle, 3)
            #expect(try scene.events().map { $0["reason"] } == ["VolumeConditionAbnormal"])
            scene.set("gone again", ofVolume: Self.volume.handle)
            try await scene.advance(untilEvents: 2)
            #expect(try scene.events().last?["involvedObject", "uid"] == .string(uid))
        }
    }

    @Test(.tags(.rule8)) func `a lasting condition raises the count of its event slowly`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.volume.handle)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            let recorded = scene.clock.now
            try await scene.advance { try scene.events().first?["count"] != 1 }
            #expect(recorded.duration(to: scene.clock.now) >= .seconds(1800))
            #expect(try scene.events().count == 1)
        }
    }

    @Test func `the first request waits for a random time`() async throws {
        try await NodeScene.set { scene in
            try await scene.monitor {
                $0.startJitter = .seconds(10)
            } random: {
                0.7
            } _: { _ in
                await scene.clock.sleeper(ofAtLeast: .seconds(7), atMost: .seconds(7))
                #expect(scene.server.journal.records.isEmpty)
                #expect(scene.driver.journal.records.isEmpty)
                scene.clock.advance(by: .seconds(7))
                _ = await scene.server.journal.first { $0.request.resource == "pods" }
            }
        }
    }
}
