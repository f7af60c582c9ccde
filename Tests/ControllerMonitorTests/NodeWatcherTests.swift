// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import Foundation
import HealthCore
import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import Synchronization
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// The node watcher with a simulated API server, over real sockets.
@Suite(.timeLimit(.minutes(50))) struct NodeWatcherTests {
    static let volume = VolumeFixture(number: 0)

    /// An API server and a node watcher, on a clock that the test advances.
    struct NodeScene: Sendable {
        let server: SimulatedAPIServer
        let clock = ManualClock()

        /// The rules of the base's ClusterRole that are needed here, and those that the node watcher adds.
        static let rules = [
            PolicyRule(
                verbs: ["list", "watch"],
                apiGroups: [""],
                resources: ["persistentvolumes", "persistentvolumeclaims"]
            ),
            PolicyRule(verbs: ["list", "get", "create", "patch"], apiGroups: [""], resources: ["events"]),
            PolicyRule(verbs: ["list", "watch"], apiGroups: [""], resources: ["nodes", "pods"]),
        ]

        static func run(_ body: (NodeScene) async throws -> Void) async throws {
            var configuration = SimulatedAPIServer.Configuration()
            configuration.users["monitor"] = APIUser(name: "csi-health-monitor", rules: rules)
            try await SimulatedAPIServer.withServer(configuration: configuration) { server in
                // A list that is not streamed comes before its watch: see `watches`.
                server.featureGates.remove(.watchList)
                try await body(NodeScene(server: server))
            }
        }

        /// Runs the watcher as one process while `body` runs.
        func watch(_ body: @escaping @Sendable () async throws -> Void) async throws {
            let kubernetes = try server.client(token: "monitor")
            let driver = try CSIClient(configuration: .init(address: "/nowhere"), logger: quiet)
            let context = MonitorContext(
                configuration: MonitorConfiguration(driverName: NodeWatcherTests.volume.driverName, identity: "test"),
                driver: driver,
                kubernetes: kubernetes,
                time: ElapsedTime(clock),
                gate: LeadershipGate(logger: quiet) { true },
                logger: quiet,
                observer: { _ in },
                dependencies: DependencyTracker(),
                state: SharedHealthState(HealthState())
            )
            let watcher = ClusterWatcher(context)
            let reporter = Reporter(context, attempts: AttemptIDs())
            let nodeWatcher = NodeWatcher(context: context, reporter: reporter, duration: .seconds(300))
            let result = await withTaskGroup(of: Result<Void, any Error>.self) { group in
                group.addTask { await Result { try await watcher.run() } }
                group.addTask {
                    await Result {
                        try await watcher.waitUntilSynced()
                        try await nodeWatcher.run()
                    }
                }
                group.addTask { await Result { try await body() } }
                let first = await group.next() ?? .success(())
                group.cancelAll()
                return first
            }
            await kubernetes.shutdown()
            await driver.shutdown()
            try result.get()
        }

        /// Creates or changes a node.
        func set(node: String, ready: String, since time: Date = Date()) throws {
            let since = Int64(time.timeIntervalSince1970)
            try NodeFixture(name: node, readiness: .init(rawValue: ready), since: since).store(in: server)
        }

        /// Creates a running pod with these volumes.
        func create(pod: String, on node: String = "worker", volumes: JSONValue) throws {
            try server.create([
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": ["namespace": "default", "name": .string(pod)],
                "spec": ["nodeName": .string(node), "volumes": volumes],
                "status": ["phase": "Running"],
            ])
        }

        /// Creates a running pod that uses a claim.
        func create(pod: String, on node: String = "worker", using claim: String) throws {
            try PodFixture(name: pod, nodeName: node, claimNames: [claim]).create(in: server)
        }

        /// Creates a bound volume, a node, and a pod on it that uses the volume's claim.
        func prepare(ready: String, since time: Date = Date()) throws {
            try NodeWatcherTests.volume.create(in: server)
            try set(node: "worker", ready: ready, since: time)
            try create(pod: "web-0", using: NodeWatcherTests.volume.claimName)
        }

        /// Advances the clock from one deadline of the watcher to the next.
        func pass(_ duration: Duration) async {
            let end = clock.now.offset + duration
            while clock.now.offset < end, !Task.isCancelled {
                let next = await clock.sleeper(ofAtLeast: .milliseconds(1))
                clock.advance(by: min(next, end - clock.now.offset))
            }
        }

        /// Waits for the `count`th successful creation of an event.
        func event(_ count: Int) async throws -> JSONValue {
            var seen = 0
            for await record in server.journal
            where record.request.verb == .create && record.request.resource == "events" && record.code == 201 {
                seen += 1
                if seen == count { return try #require(record.request.body) }
            }
            throw CancellationError()
        }

        func events() throws -> Int { try server.objects(kind: "Event").count }

        /// Returns when the watcher has listed nodes and pods and watches both.
        func watches() async {
            var missing: Set = ["nodes", "pods"]
            for await record in server.journal where record.request.verb == .watch && record.code == 200 {
                missing.remove(record.request.resource)
                if missing.isEmpty { return }
            }
        }
    }

    @Test func `a node that is not ready for five minutes is reported`() async throws {
        try await NodeScene.run { scene in
            // A transition time from a clock that is ahead makes nothing happen earlier.
            try scene.prepare(ready: "Unknown", since: Date() + 3600)
            try scene.create(pod: "web-1", using: Self.volume.claimName)
            try await scene.watch {
                await scene.pass(.seconds(299))
                let before = try scene.events()
                #expect(before == 0)
                await scene.pass(.seconds(1))
                let event = try await scene.event(1)
                #expect(event["type"] == "Warning")
                #expect(event["reason"] == "NodeFailed")
                #expect(
                    event["message"] == """
                        Pods: [ web-0 web-1 ] consuming PVC: csi-pvc in namespace: default are now on a failed node: worker
                        """
                )
                #expect(event["source", "component"] == "csi-pv-monitor-controller-hostpath.csi.k8s.io")
                #expect(event["involvedObject", "kind"] == "PersistentVolumeClaim")
                #expect(event["involvedObject", "name"] == "csi-pvc")
            }
        }
    }

    @Test func `the time before the watch counts`() async throws {
        try await NodeScene.run { scene in
            try scene.prepare(ready: "False", since: Date() - 301)
            try await scene.watch {
                let event = try await scene.event(1)
                #expect(event["reason"] == "NodeFailed")
                #expect(scene.clock.now.offset == .zero)
            }
        }
    }

    @Test func `a node that is ready again is reported once, as a Normal event`() async throws {
        try await NodeScene.run { scene in
            try scene.prepare(ready: "False", since: Date() - 301)
            try await scene.watch {
                _ = try await scene.event(1)
                try scene.set(node: "worker", ready: "True")
                let event = try await scene.event(2)
                #expect(event["type"] == "Normal")
                #expect(event["reason"] == "NodeRecovered")
                #expect(event["message"] == "Node: worker recovered")
                #expect(event["involvedObject", "name"] == "csi-pvc")
            }
        }
    }

    /// EHM crashes when a Node is deleted.
    @Test func `a deleted node is reported, and nothing crashes`() async throws {
        try await NodeScene.run { scene in
            try scene.prepare(ready: "True")
            try await scene.watch {
                await scene.watches()
                try scene.server.delete(kind: "Node", name: "worker")
                let event = try await scene.event(1)
                #expect(event["reason"] == "NodeFailed")
                try scene.set(node: "worker", ready: "True")
                let recovery = try await scene.event(2)
                #expect(recovery["reason"] == "NodeRecovered")
            }
        }
    }

    @Test func `pods that ended or have no node are not reported`() async throws {
        try await NodeScene.run { scene in
            let others = (1...3).map { VolumeFixture(number: $0) }
            for other in others { try other.create(in: scene.server) }
            try scene.create(pod: "done", using: others[0].claimName)
            try scene.create(pod: "broken", using: others[1].claimName)
            try scene.create(pod: "pending", on: "", using: others[2].claimName)
            try scene.server.patch(kind: "Pod", namespace: "default", name: "done", ["status": ["phase": "Succeeded"]])
            try scene.prepare(ready: "True")
            try await scene.watch {
                await scene.watches()
                try scene.server.patch(
                    kind: "Pod",
                    namespace: "default",
                    name: "broken",
                    ["status": ["phase": "Failed"]]
                )
                // The watcher's first deadline is for this pod, which arrives on the same watch after the other pod's
                // end.
                try scene.create(pod: "marker", on: "elsewhere", using: "none")
                await scene.clock.sleeper()
                try scene.set(node: "worker", ready: "False")
                while try scene.events() == 0 { await scene.pass(.seconds(60)) }
                let event = try await scene.event(1)
                #expect(event["involvedObject", "name"] == "csi-pvc")
                await scene.pass(.seconds(60))
                let all = try scene.events()
                #expect(all == 1)
            }
        }
    }

    @Test func `the claim of an ephemeral volume is reported too`() async throws {
        let claim = VolumeFixture(claimName: "web-0-scratch", volumeName: "pv", handle: "h")
        try await NodeScene.run { scene in
            try claim.create(in: scene.server)
            try scene.create(pod: "web-0", volumes: [["name": "scratch", "ephemeral": [:]], ["name": "config"]])
            try scene.set(node: "worker", ready: "False", since: Date() - 301)
            try await scene.watch {
                let event = try await scene.event(1)
                #expect(event["involvedObject", "name"] == "web-0-scratch")
            }
        }
    }

    @Test(.tags(.rule9)) func `a new process reports no failure twice and loses no recovery`() async throws {
        try await NodeScene.run { scene in
            try scene.prepare(ready: "False", since: Date() - 301)
            try await scene.watch { _ = try await scene.event(1) }
            try await scene.watch {
                await scene.pass(.seconds(600))
                let all = try scene.server.objects(kind: "Event").map { $0["count"] }
                #expect(all == [1])
            }
            try scene.set(node: "worker", ready: "True")
            try await scene.watch {
                let event = try await scene.event(2)
                #expect(event["reason"] == "NodeRecovered")
            }
            // The failure is over: the next process waits for nothing.
            try await scene.watch {
                await scene.watches()
                try scene.set(node: "worker", ready: "False", since: Date() - 301)
                await scene.pass(.seconds(300))
                _ = await scene.server.journal.first { $0.request.verb == .patch && $0.code == 200 }
                let all = try scene.server.objects(kind: "Event").map { [$0["reason"], $0["count"]] }
                #expect(Set(all) == [["NodeFailed", 2], ["NodeRecovered", 1]])
            }
        }
    }

    @Test(.tags(.rule9)) func `a recovery is reported although the events could not be read back at first`()
        async throws
    {
        try await NodeScene.run { scene in
            try scene.prepare(ready: "False", since: Date() - 301)
            try await scene.watch { _ = try await scene.event(1) }
            try scene.set(node: "worker", ready: "True")
            let lists = Atomic(0)
            scene.server.intercept { request in
                guard request.verb == .list, request.resource == "events" else { return nil }
                let attempt = lists.add(1, ordering: .relaxed).newValue
                return attempt > 3 ? nil : .fail(StatusError(code: 504, reason: "Timeout", message: "too long"))
            }
            try await scene.watch {
                while try scene.events() == 1 {
                    scene.clock.advance(by: .seconds(1))
                    await pollingPause()
                }
                let event = try await scene.event(2)
                #expect(event["reason"] == "NodeRecovered")
            }
            #expect(lists.load(ordering: .relaxed) > 3)
        }
    }

    @Test(.tags(.rule8)) func `a refresh of a lasting failure is no new event`() async throws {
        try await NodeScene.run { scene in
            try scene.prepare(ready: "False", since: Date() - 301)
            try await scene.watch {
                _ = try await scene.event(1)
                while !scene.server.journal.records.contains(where: { $0.request.verb == .patch && $0.code == 200 }) {
                    scene.clock.advance(by: .seconds(60))
                    await pollingPause()
                }
                let creations = scene.server.journal.records.count { $0.request.verb == .create }
                #expect(creations == 1)
            }
        }
    }

    @Test func `without the flag, nodes and pods are not watched`() async throws {
        try await Scene.run(prepare: HealthMonitorTests.oneVolume(.healthy)) { scene in
            await scene.sweepAgain()
            let requests = scene.server.journal.records.map(\.request)
            #expect(Set(requests.map(\.resource)) == ["persistentvolumes", "persistentvolumeclaims", "events"])
        }
    }
}

struct NodeEventsTests {
    let claim = ClaimKey(namespace: "shop", name: "data")

    @Test func `the node is read back from the messages`() {
        let state = NodeFailureState(node: "worker-1.example", pods: ["a", "b"])
        let failed = EventVocabulary.nodeFailedMessage(state, claim: claim)
        #expect(
            failed == "Pods: [ a b ] consuming PVC: data in namespace: shop are now on a failed node: worker-1.example"
        )
        #expect(EventVocabulary.node(inFailedMessage: failed) == "worker-1.example")
        let recovered = EventVocabulary.nodeRecoveredMessage(node: "worker-1.example")
        #expect(recovered == "Node: worker-1.example recovered")
        #expect(EventVocabulary.node(inRecoveredMessage: recovered) == "worker-1.example")
        #expect(EventVocabulary.node(inFailedMessage: recovered) == nil)
        #expect(EventVocabulary.node(inRecoveredMessage: failed) == nil)
        #expect(EventVocabulary.node(inRecoveredMessage: "Node: recovered") == nil)
    }

    @Test func `the message keeps the node, however many pods there are`() {
        for count in 1...200 {
            let pods = (0..<count).map { "pod-\($0)" }
            let state = NodeFailureState(node: "worker", pods: pods)
            let message = EventVocabulary.nodeFailedMessage(state, claim: claim)
            #expect(message.utf8.count <= 1024)
            #expect(EventVocabulary.node(inFailedMessage: message) == "worker")
            let shown = message.split(separator: " ").filter { $0.hasPrefix("pod-") }.count
            #expect(shown == count || message.contains(" and \(count - shown) more ]"))
        }
    }

    @Test func `the last event on a claim and a node counts`() {
        var reported = RecordedNodeFailures()
        func event(_ reason: String, node: String, version: Int) -> Event {
            var event = Event()
            event.involvedObject.uid = "u"
            event.involvedObject.name = "data"
            event.metadata.resourceVersion = "\(version)"
            event.reason = reason
            event.message =
                reason == "NodeFailed"
                ? EventVocabulary.nodeFailedMessage(NodeFailureState(node: node, pods: ["a"]), claim: claim)
                : EventVocabulary.nodeRecoveredMessage(node: node)
            return event
        }
        reported.add(event("NodeFailed", node: "a", version: 9), isCached: true)
        reported.add(event("NodeRecovered", node: "a", version: 10), isCached: true)
        reported.add(event("NodeRecovered", node: "b", version: 9), isCached: true)
        reported.add(event("NodeFailed", node: "b", version: 10), isCached: true)
        reported.add(event("NodeRecovered", node: "c", version: 10), isCached: true)
        reported.add(event("NodeFailed", node: "c", version: 9), isCached: true)
        reported.add(Event(), isCached: true)
        // In another namespace, with the same UID.
        var forged = event("NodeRecovered", node: "b", version: 11)
        forged.involvedObject.namespace = "tenant"
        reported.add(forged, isCached: true)
        #expect(reported.failures.map(\.node) == ["b"])
        #expect(reported.failures.map(\.claim.uid) == ["u"])
    }
}
