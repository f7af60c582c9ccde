// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import Testing

@testable import HealthMonitorTestKit

@Suite(.timeLimit(.minutes(50))) struct APIServerTests {
    static let claims = "/api/v1/namespaces/default/persistentvolumeclaims"
    static let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

    static func lease(_ name: String) -> JSONValue {
        ["apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": .string(name)]]
    }

    // MARK: Encodings

    @Test func `JSON and protobuf have the same object`() async throws {
        try await withClient { server, client in
            let created = try await client.send("POST", Self.leases, body: Self.lease("l"))
            #expect(created.status == 201)
            let json = try await client.send("GET", "\(Self.leases)/l")
            let protobuf = try await client.send("GET", "\(Self.leases)/l", accept: Representation.protobufType)
            #expect(json.headers["content-type"] == "application/json")
            #expect(protobuf.headers["content-type"] == "application/vnd.kubernetes.protobuf")
            let envelope = try Envelope(parsing: protobuf.body)
            #expect((envelope.apiVersion, envelope.kind) == ("coordination.k8s.io/v1", "Lease"))
            let object = try MessageSchema.lease.decode(envelope.raw)
            #expect(object.typed("coordination.k8s.io/v1", "Lease") == (try json.json))
            #expect(try json.json["metadata", "uid"]?.string?.isEmpty == false)
        }
    }

    @Test func `protobuf is accepted`() async throws {
        try await withClient { server, client in
            let body = try MessageSchema.lease.encode(["metadata": ["name": "l"], "spec": ["holderIdentity": "me"]])
            let envelope = Envelope(apiVersion: "coordination.k8s.io/v1", kind: "Lease", raw: body)
            let created = try await client.send(
                "POST",
                Self.leases,
                bytes: envelope.bytes,
                contentType: Representation.protobufType
            )
            #expect(created.status == 201)
            let record = try #require(server.journal.records.last)
            #expect(record.request.body?["spec"] == ["holderIdentity": "me"])

            let options = try MessageSchema.deleteOptions.encode(["preconditions": ["uid": "other"]])
            let refused = try await client.send(
                "DELETE",
                "\(Self.leases)/l",
                bytes: Envelope(apiVersion: "meta.k8s.io/v1", kind: "DeleteOptions", raw: options).bytes,
                contentType: Representation.protobufType
            )
            #expect(refused.status == 409)
            #expect(try server.object(kind: "Lease", namespace: "default", name: "l") != nil)
        }
    }

    @Test func `an error is a Status in the requested encoding`() async throws {
        try await withClient { _, client in
            let response = try await client.send("GET", "\(Self.claims)/x", accept: Representation.protobufType)
            #expect(response.status == 404)
            let envelope = try Envelope(parsing: response.body)
            #expect((envelope.apiVersion, envelope.kind) == ("v1", "Status"))
            #expect(
                try MessageSchema.status.decode(envelope.raw) == [
                    "status": "Failure", "message": "persistentvolumeclaims \"x\" not found", "reason": "NotFound",
                    "details": ["name": "x", "kind": "persistentvolumeclaims"], "code": 404,
                ]
            )
        }
    }

    @Test(arguments: ["pods", "nodes", "secrets"])
    func `Pods, Nodes and Secrets are served in both encodings`(plural: String) async throws {
        try await withClient { server, client in
            try NodeFixture(name: "worker").store(in: server)
            try PodFixture(name: "web-0", nodeName: "worker", claimNames: ["csi-pvc"]).create(in: server)
            try server.create(["kind": "Secret", "metadata": ["name": "s"], "data": ["password": "aHVudGVyMg=="]])
            let type = try #require(ResourceType.find(group: "", plural: plural))
            let path = type.isNamespaced ? "/api/v1/namespaces/default/\(plural)" : "/api/v1/\(plural)"
            let json = try await client.send("GET", path).json
            let protobuf = try await client.send("GET", path, accept: Representation.protobufType)
            let list = try MessageSchema.list(of: type.schema).decode(Envelope(parsing: protobuf.body).raw)
            #expect(list["items"] == json["items"])
            #expect(json["items"]?.array?.count == 1)

            var events = try await client.watch(path, query: ["watch": "true"], accept: Representation.protobufType)
            let name = try #require(json["items"]?.array?.first?["metadata", "name"]?.string)
            let added = try await events.next()
            #expect(added?.object == json["items"]?.array?.first)
            let deleted = try await client.send("DELETE", "\(path)/\(name)")
            #expect(deleted.status == 200)
            let event = try await events.next()
            #expect(event?.type == "DELETED")
        }
    }

    @Test func `unsupported media types and malformed bodies are refused`() async throws {
        try await withClient { _, client in
            #expect(try await client.send("GET", Self.claims, accept: "text/html").status == 406)
            let yaml = try await client.send("POST", Self.leases, bytes: [1], contentType: "application/yaml")
            #expect(yaml.status == 415)
            let jsonPatch = try await client.send(
                "PATCH",
                "\(Self.leases)/l",
                bytes: Array("[]".utf8),
                contentType: "application/json-patch+json"
            )
            #expect(jsonPatch.status == 415)
            #expect(try await client.send("POST", Self.leases, bytes: Array("{".utf8)).status == 400)
            #expect(try await client.send("POST", Self.claims, body: Self.lease("l")).status == 400)
            #expect(try await client.send("GET", "/api/v1/widgets").status == 404)
            #expect(try await client.send("DELETE", Self.claims).status == 405)
        }
    }

    // MARK: Lists

    @Test func `the pages of a list have the same resource version`() async throws {
        try await withClient { server, client in
            for name in ["a", "b", "c", "d", "e"] { try server.create(Self.lease(name)) }
            let first = try await client.send("GET", Self.leases, query: ["limit": "2"]).json
            #expect(first["metadata", "remainingItemCount"] == 3)
            try server.create(Self.lease("aa"))
            let token = try #require(first["metadata", "continue"]?.string)
            let second = try await client.send("GET", Self.leases, query: ["limit": "3", "continue": token]).json
            #expect(second["metadata", "continue"] == nil)
            #expect(second["metadata", "resourceVersion"] == first["metadata", "resourceVersion"])
            let names = [first, second].flatMap { $0["items"]?.array ?? [] }.map { $0["metadata", "name"] }
            #expect(names == ["a", "b", "c", "d", "e"])

            server.compact()
            let expired = try await client.send("GET", Self.leases, query: ["limit": "3", "continue": token])
            #expect(expired.status == 410)
            #expect(try expired.json["reason"] == "Expired")
        }
    }

    @Test func `selectors and namespaces restrict a list`() async throws {
        try await withClient { server, client in
            for (name, namespace, uid) in [("a", "default", "1"), ("b", "default", "2"), ("c", "kube-system", "1")] {
                try server.create([
                    "kind": "Event",
                    "metadata": [
                        "name": .string(name), "namespace": .string(namespace), "labels": ["u": .string(uid)],
                    ],
                    "involvedObject": ["kind": "PersistentVolumeClaim", "uid": .string(uid)],
                ])
            }
            func names(_ path: String, _ query: [String: String] = [:]) async throws -> [String] {
                let list = try await client.send("GET", path, query: query).json
                return (list["items"]?.array ?? []).compactMap { $0["metadata", "name"]?.string }
            }
            #expect(try await names("/api/v1/events") == ["a", "b", "c"])
            #expect(try await names("/api/v1/namespaces/default/events") == ["a", "b"])
            #expect(try await names("/api/v1/events", ["fieldSelector": "involvedObject.uid=1"]) == ["a", "c"])
            #expect(try await names("/api/v1/events", ["labelSelector": "u=2"]) == ["b"])
            let unknown = try await client.send("GET", "/api/v1/events", query: ["fieldSelector": "count=1"])
            #expect(unknown.status == 400)
        }
    }

    @Test func `selected events are paged`() async throws {
        try await withClient { server, client in
            for number in 0..<10 {
                let component = number < 5 ? "monitor" : "kubelet"
                var event: JSONValue = [
                    "kind": "Event", "metadata": ["name": .string("e\(number)")],
                    "reason": number % 2 == 0 ? "Abnormal" : "Normal",
                    "involvedObject": ["kind": "PersistentVolumeClaim"],
                ]
                // The selector `source` matches reportingComponent where source.component is missing.
                event[path: number == 0 ? ["reportingComponent"] : ["source", "component"]] = .string(component)
                try server.create(event)
            }
            var query = ["fieldSelector": "source=monitor,reason=Abnormal", "limit": "2"]
            var pages: [[JSONValue?]] = []
            repeat {
                let page = try await client.send("GET", "/api/v1/events", query: query).json
                #expect(page["metadata", "remainingItemCount"] == nil, "not reported of a selection")
                pages.append((page["items"]?.array ?? []).map { $0["metadata", "name"] })
                query["continue"] = page["metadata", "continue"]?.string
            } while query["continue"] != nil
            #expect(pages == [["e0", "e2"], ["e4"]])
        }
    }

    // MARK: Writes

    @Test func `a status is patched with preconditions`() async throws {
        try await withClient { server, client in
            let claim = try server.create([
                "kind": "PersistentVolumeClaim", "metadata": ["name": "csi-pvc"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ])
            let patch: JSONValue = [
                "metadata": [
                    "uid": claim["metadata", "uid"] ?? "",
                    "resourceVersion": claim["metadata", "resourceVersion"] ?? "",
                ],
                "status": ["phase": "Bound"],
            ]
            let path = "\(Self.claims)/csi-pvc/status"
            let patched = try await client.send("PATCH", path, body: patch, contentType: "application/merge-patch+json")
            #expect(patched.status == 200)
            #expect(try patched.json["status", "phase"] == "Bound")
            let again = try await client.send("PATCH", path, body: patch, contentType: "application/merge-patch+json")
            #expect(again.status == 409)
            #expect(try again.json["reason"] == "Conflict")
        }
    }

    @Test func `the port can be chosen`() async throws {
        try await SimulatedAPIServer.withServer { server in
            var configuration = SimulatedAPIServer.Configuration()
            configuration.port = try #require(server.url.split(separator: ":").last.flatMap { Int($0) })
            let taken = configuration
            await #expect(throws: (any Error).self, "it is taken") {
                try await SimulatedAPIServer.withServer(configuration: taken) { _ in }
            }
        }
    }

    // MARK: Access

    @Test func `tokens and rules decide who may do what`() async throws {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users["limited"] = APIUser(
            name: "system:serviceaccount:default:monitor",
            rules: [
                PolicyRule(
                    verbs: ["get", "create"],
                    apiGroups: ["coordination.k8s.io"],
                    resources: ["leases"],
                    namespace: "default"
                ),
                PolicyRule(verbs: ["patch"], apiGroups: [""], resources: ["persistentvolumeclaims/status"]),
            ]
        )
        try await withClient(configuration) { server, client in
            for token in [nil, "wrong"] as [String?] {
                let response = try await client.send("GET", Self.leases, token: token)
                #expect(response.status == 401)
                #expect(try response.json["reason"] == "Unauthorized")
            }
            #expect(try await client.send("GET", "/healthz", token: nil).status == 200)
            #expect(try await client.send("GET", "/api/v1", token: "limited").status == 200)
            let created = try await client.send("POST", Self.leases, body: Self.lease("l"), token: "limited")
            #expect(created.status == 201)
            #expect(server.journal.records.last?.request.user == "system:serviceaccount:default:monitor")

            let refused = try await client.send("DELETE", "\(Self.leases)/l", token: "limited")
            #expect(refused.status == 403)
            #expect(
                try refused.json["message"]
                    == .string(
                        "leases.coordination.k8s.io \"l\" is forbidden: User \"system:serviceaccount:default:monitor\" "
                            + "cannot delete resource \"leases\" in API group \"coordination.k8s.io\" "
                            + "in the namespace \"default\""
                    )
            )
            for (method, path) in [
                ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l"),
                ("GET", Self.leases), ("PATCH", "\(Self.claims)/csi-pvc"),
            ] {
                #expect(try await client.send(method, path, token: "limited").status == 403)
            }
            let status = try await client.send(
                "PATCH",
                "\(Self.claims)/csi-pvc/status",
                body: [:],
                contentType: "application/merge-patch+json",
                token: "limited"
            )
            #expect(status.status == 404)
        }
    }

    // MARK: Journal and faults

    @Test func `the journal has every request`() async throws {
        try await withClient { server, client in
            async let awaited = server.journal.first { $0.request.verb == .update }
            _ = try await client.send("PUT", "\(Self.leases)/l", query: ["fieldManager": "me"], body: Self.lease("l"))
            let record = try #require(await awaited)
            #expect(record.code == 200)
            #expect(record.request.group == "coordination.k8s.io")
            #expect(record.request.resource == "leases")
            #expect((record.request.namespace, record.request.name) == ("default", "l"))
            #expect(record.request.query == ["fieldManager": "me"])
            #expect(record.request.user == "admin")
            #expect(record.request.body == ["metadata": ["name": "l"]])
            #expect(server.journal.records.count == 1)
        }
    }

    @Test func `a test can respond in the server's place`() async throws {
        try await withClient { server, client in
            server.intercept { request in
                switch request.name {
                case "busy":
                    let error = StatusError(code: 429, reason: "TooManyRequests", message: "later")
                    return .fail(error, headers: ["Retry-After": "7"])
                case "odd": return .respond(status: 299, headers: ["X-Odd": "yes"], body: [1, 2, 3])
                case "cut": return .cut
                default: return nil
                }
            }
            let busy = try await client.send("GET", "\(Self.leases)/busy")
            #expect(busy.status == 429)
            #expect(busy.headers["retry-after"] == "7")
            #expect(try busy.json["reason"] == "TooManyRequests")
            let odd = try await client.send("GET", "\(Self.leases)/odd")
            #expect((odd.status, odd.body, odd.headers["x-odd"]) == (299, [1, 2, 3], "yes"))
            await #expect(throws: (any Error).self) { try await client.send("GET", "\(Self.leases)/cut") }
            #expect(try await client.send("GET", "\(Self.leases)/served").status == 404)
            // libcurl may retry a request that was cut on a reused connection.
            #expect(server.journal.records.compactMap(\.code) == [429, 299, 404])
            #expect(server.journal.records.contains { $0.code == nil })
            server.intercept(nil)
            #expect(try await client.send("GET", "\(Self.leases)/cut").status == 404)
        }
    }

    @Test func `a test can delay a request`() async throws {
        try await withClient { server, client in
            let (gate, release) = AsyncStream.makeStream(of: Void.self)
            let (arrivals, arrive) = AsyncStream.makeStream(of: Void.self)
            server.intercept { _ in
                arrive.yield()
                for await _ in gate {}
                return nil
            }
            async let response = client.send("GET", "\(Self.leases)/l")
            _ = await arrivals.first { true }
            #expect(server.journal.records.isEmpty)
            release.finish()
            let status = try await response.status
            #expect(status == 404)
        }
    }
}
