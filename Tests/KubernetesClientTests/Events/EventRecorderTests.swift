// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf
import Testing

@Suite(.timeLimit(.minutes(50))) struct EventRecorderTests {
    private func record(_ message: String = "gone", namespace: String = "default", at seconds: Int64 = 0) -> EventRecord
    {
        EventRecord(
            name: "csi-pvc.1234",
            involvedObject: .with {
                $0.kind = "PersistentVolumeClaim"
                $0.apiVersion = "v1"
                $0.namespace = namespace
                $0.name = "csi-pvc"
                $0.uid = "1234"
                $0.resourceVersion = "42"
            },
            type: .warning,
            reason: "VolumeConditionAbnormal",
            message: message,
            component: "csi-pv-monitor-controller-hostpath.csi.k8s.io",
            instance: "pod-0",
            time: .with { $0.seconds = 1_790_000_000 + seconds },
            attemptID: "\(seconds)"
        )
    }

    private func recorder(_ cluster: TestCluster) -> EventRecorder {
        EventRecorder(client: cluster.client, attemptAnnotation: "example.com/attempt-id")
    }

    private func stored(_ cluster: TestCluster) throws -> JSONValue? {
        try cluster.server.object(kind: "Event", namespace: "default", name: "csi-pvc.1234")
    }

    @Test func `every occurrence sets the further annotations, the first one also the host`() async throws {
        try await TestCluster.with { cluster in
            var first = record("one")
            first.host = "node-1"
            first.annotations = ["example.com/fingerprint": "1"]
            #expect(try await recorder(cluster).record(first) == 1)
            let created = try stored(cluster)
            #expect(created?["source", "host"] == "node-1")
            #expect(
                created?["metadata", "annotations"]
                    == ["example.com/attempt-id": "0", "example.com/fingerprint": "1"]
            )
            var second = record("two", at: 60)
            second.host = "node-1"
            second.annotations = ["example.com/fingerprint": "2"]
            #expect(try await recorder(cluster).record(second) == 2)
            let patched = try stored(cluster)
            #expect(
                patched?["metadata", "annotations"]
                    == ["example.com/attempt-id": "60", "example.com/fingerprint": "2"]
            )
        }
    }

    @Test func `the first occurrence creates the event`() async throws {
        try await TestCluster.with { cluster in
            #expect(try await recorder(cluster).record(record()) == 1)
            let event = try stored(cluster)
            #expect(
                event?["involvedObject"] == [
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": "csi-pvc",
                    "uid": "1234", "resourceVersion": "42",
                ]
            )
            #expect(event?["type"] == "Warning")
            #expect(event?["reason"] == "VolumeConditionAbnormal")
            #expect(event?["message"] == "gone")
            #expect(event?["source", "component"] == "csi-pv-monitor-controller-hostpath.csi.k8s.io")
            #expect(event?["reportingComponent"] == "csi-pv-monitor-controller-hostpath.csi.k8s.io")
            #expect(event?["reportingInstance"] == "pod-0")
            #expect(event?["firstTimestamp"] == "2026-09-21T14:13:20Z")
            #expect(event?["lastTimestamp"] == "2026-09-21T14:13:20Z")
            #expect(event?["count"] == 1)
            #expect(cluster.requests == ["create events 201"])
        }
    }

    @Test func `a known event is read and patched`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            let count = try await recorder.record(record(at: 1800), isKnown: true)
            #expect(count == 2)
            #expect(cluster.requests == ["create events 201", "get events 200", "patch events 200"])
        }
    }

    @Test func `a known event that no longer exists is created again`() async throws {
        try await TestCluster.with { cluster in
            let count = try await recorder(cluster).record(record(), isKnown: true)
            #expect(count == 1)
            #expect(cluster.requests == ["get events 404", "create events 201"])
        }
    }

    @Test func `a known event with a known count is patched in one request`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            let count = try await recorder.record(record("still gone", at: 1800), isKnown: true, knownCount: 1)
            #expect(count == 2)
            let event = try stored(cluster)
            #expect(event?["count"] == 2)
            #expect(event?["message"] == "still gone")
            #expect(event?["lastTimestamp"] == "2026-09-21T14:43:20Z")
            #expect(event?["metadata", "annotations", "example.com/attempt-id"] == "1800")
            #expect(cluster.requests == ["create events 201", "patch events 200"])
        }
    }

    @Test func `an event with a known count that no longer exists is created again`() async throws {
        try await TestCluster.with { cluster in
            let count = try await recorder(cluster).record(record(), isKnown: true, knownCount: 3)
            #expect(count == 1)
            #expect(cluster.requests == ["patch events 404", "create events 201"])
        }
    }

    @Test func `an event with a known count in a namespace that is gone is notFound`() async throws {
        try await TestCluster.with { cluster in
            let error = await #expect(throws: KubernetesError.self) {
                try await recorder(cluster).record(record(namespace: "gone"), isKnown: true, knownCount: 3)
            }
            #expect(error?.code == .notFound)
            #expect(cluster.requests == ["patch events 404", "create events 404"])
        }
    }

    @Test func `a patch with a known count whose response was lost is counted once`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            cluster.server.intercept { $0.verb == .patch ? .loseResponse : nil }
            await #expect(throws: KubernetesError.self) {
                _ = try await recorder.record(record(at: 1800), isKnown: true, knownCount: 1)
            }
            cluster.server.intercept(nil)
            #expect(try stored(cluster)?["count"] == 2)
            #expect(try await recorder.record(record(at: 1800), isKnown: true, knownCount: 1) == 2)
            #expect(try stored(cluster)?["count"] == 2)
        }
    }

    @Test func `after a conflict an event with a known count is read`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            let patches = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.verb == .patch, patches.values.isEmpty else { return nil }
                patches.append(true)
                return .fail(StatusError(code: 409, reason: "Conflict", message: "again"))
            }
            #expect(try await recorder.record(record(at: 60), isKnown: true, knownCount: 1) == 2)
            #expect(cluster.requests[1...] == ["patch events 409", "get events 200", "patch events 200"])
        }
    }

    @Test func `a retry after a lost response does not count the event twice`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            cluster.server.intercept { $0.verb == .create ? .loseResponse : nil }
            await #expect(throws: KubernetesError.self) { _ = try await recorder.record(record()) }
            cluster.server.intercept(nil)
            var again = record(at: 60)
            again.attemptID = record().attemptID
            let count = try await recorder.record(again)
            #expect(count == 1)
            #expect(try stored(cluster)?["count"] == 1)
        }
    }

    /// On a reused connection that ends without a response, libcurl assumes that the server had closed it, and sends
    /// the request again.
    @Test(arguments: [APIRequest.Verb.create, .patch])
    func `a request that is sent twice is counted once`(_ verb: APIRequest.Verb) async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            if verb == .patch {
                _ = try await recorder.record(record())
            } else {
                _ = try? await cluster.client.get(Event.self, name: "none", namespace: "default")
            }
            let losses = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.verb == verb, losses.values.isEmpty else { return nil }
                losses.append(true)
                return .loseResponse
            }
            let count = try await recorder.record(record(at: 60))
            let expected = verb == .patch ? 2 : 1
            #expect(count == expected)
            #expect(try stored(cluster)?["count"] == .integer(Int64(expected)))
            #expect(losses.values.count == 1)
        }
    }

    /// The Role of an event recorder that never reads a single Event.
    @Test func `an event is recorded again with list instead of get`() async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { request in
                guard request.verb == .get else { return nil }
                return .fail(StatusError(code: 403, reason: "Forbidden", message: "no"), headers: [:])
            }
            let recorder = recorder(cluster)
            let counts = [try await recorder.record(record()), try await recorder.record(record(at: 60))]
            #expect(counts == [1, 2])
            #expect(
                cluster.requests == [
                    "create events 201", "create events 409", "get events 403", "list events 200", "patch events 200",
                ]
            )
        }
    }

    @Test func `without get and list the error names the missing rule`() async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { request in
                guard request.verb == .get || request.verb == .list else { return nil }
                return .fail(StatusError(code: 403, reason: "Forbidden", message: "no"), headers: [:])
            }
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            do {
                _ = try await recorder.record(record(at: 60))
                Issue.record("the count was raised")
            } catch let error as KubernetesError {
                #expect(error.code == .forbidden)
                #expect(error.message.contains(#"verbs: ["get"]"#))
            }
        }
    }

    @Test func `recording an event again increments its count`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            #expect(try await recorder.record(record("still gone", at: 90)) == 2)
            let event = try stored(cluster)
            #expect(event?["count"] == 2)
            #expect(event?["message"] == "still gone")
            #expect(event?["firstTimestamp"] == "2026-09-21T14:13:20Z")
            #expect(event?["lastTimestamp"] == "2026-09-21T14:14:50Z")
            #expect(event?["involvedObject", "uid"] == "1234")
            #expect(cluster.requests[1...] == ["create events 409", "get events 200", "patch events 200"])
        }
    }

    /// How a client finds the events that it recorded earlier.
    @Test func `events are found by source and reason`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            let reported = [("ours", "Bad"), ("ours", "Good"), ("theirs", "Bad"), ("ours", "Bad")]
            for (number, (component, reason)) in reported.enumerated() {
                var record = record()
                record.attemptID = "\(number)"
                record.name = "\(component).\(reason)".lowercased()
                record.component = component
                record.reason = reason
                record.type = reason == "Bad" ? .warning : .normal
                _ = try await recorder.record(record)
            }
            let selection = Selection(fieldSelector: "source=ours,reason=Bad")
            let events = try await cluster.client.list(Event.self, selection).collected().flatMap { try $0.items }
            #expect(events.map(\.metadata.name) == ["ours.bad"])
            #expect(events.map(\.count) == [2])
            #expect(events.map(\.type) == ["Warning"])
            #expect(events.map(\.involvedObject.uid) == ["1234"])
        }
    }

    @Test func `a long message is truncated`() async throws {
        try await TestCluster.with { cluster in
            let message = String(repeating: "é", count: 600)
            _ = try await recorder(cluster).record(record(message))
            #expect(try stored(cluster)?["message"]?.string == String(repeating: "é", count: 512))
        }
    }

    @Test func `concurrent records of two replicas are both counted`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            let server = cluster.server
            let patches = Collected<Bool>()
            server.intercept { request in
                guard request.verb == .patch, patches.values.isEmpty else { return nil }
                patches.append(true)
                _ = try? server.patch(kind: "Event", namespace: "default", name: "csi-pvc.1234", ["count": 7])
                return nil
            }
            #expect(try await recorder.record(record(at: 60)) == 8)
            #expect(cluster.requests.count { $0 == "patch events 409" } == 1)
        }
    }

    @Test func `the recorder gives up after five conflicts`() async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            cluster.server.intercept { request in
                request.verb == .patch ? .fail(StatusError(code: 409, reason: "Conflict", message: "again")) : nil
            }
            let error = await #expect(throws: KubernetesError.self) { try await recorder.record(record(at: 60)) }
            #expect(error?.code == .conflict)
            #expect(cluster.requests.count { $0 == "patch events 409" } == 5)
        }
    }

    /// The API server deletes events after an hour, at any moment.
    @Test(arguments: [APIRequest.Verb.get, .patch])
    func `an event that is deleted concurrently is created again`(before verb: APIRequest.Verb) async throws {
        try await TestCluster.with { cluster in
            let recorder = recorder(cluster)
            _ = try await recorder.record(record())
            let server = cluster.server
            server.intercept { request in
                if request.verb == verb {
                    try? server.delete(kind: "Event", namespace: "default", name: "csi-pvc.1234")
                }
                return nil
            }
            #expect(try await recorder.record(record("anew", at: 60)) == 1)
            #expect(try stored(cluster)?["message"] == "anew")
        }
    }

    @Test func `a namespace that does not exist is notFound`() async throws {
        try await TestCluster.with { cluster in
            let error = await #expect(throws: KubernetesError.self) {
                try await recorder(cluster).record(record(namespace: "gone"))
            }
            #expect(error?.code == .notFound)
            #expect(cluster.requests == ["create events 404"])
        }
    }

    @Test func `a namespace that is being deleted is namespaceTerminating`() async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { _ in
                let cause: JSONValue = [
                    "reason": "NamespaceTerminating", "message": "namespace default is being terminated",
                    "field": "metadata.namespace",
                ]
                return .fail(
                    StatusError(code: 403, reason: "Forbidden", message: "no", details: ["causes": [cause]])
                )
            }
            let error = await #expect(throws: KubernetesError.self) {
                try await recorder(cluster).record(record())
            }
            #expect(error?.code == .namespaceTerminating)
            #expect(cluster.requests == ["create events 403"])
        }
    }

    @Test func `a missing rule is forbidden`() async throws {
        let users = ["guest": APIUser(name: "guest", rules: [])]
        try await TestCluster.with(users: users, credentials: .token("guest")) { cluster in
            let error = await #expect(throws: KubernetesError.self) {
                try await recorder(cluster).record(record())
            }
            #expect(error?.code == .forbidden)
        }
    }
}
