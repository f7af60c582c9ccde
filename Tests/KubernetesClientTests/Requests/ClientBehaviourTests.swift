// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import KubernetesAPI
import Logging
import Testing

@testable import KubernetesClient

@Suite(.timeLimit(.minutes(50))) struct ClientBehaviourTests {
    private func get(_ cluster: TestCluster) async throws -> Lease {
        try await cluster.client.get(Lease.self, name: "lock", namespace: "default")
    }

    @Test func `a client connects as its kubeconfig says`() async throws {
        try await TestCluster.with { cluster in
            let configuration = try Kubeconfig(text: Array(cluster.server.kubeconfig().utf8), path: "config")
                .configuration()
            let client = try KubernetesClient(
                configuration: configuration,
                userAgent: "test",
                rateLimit: nil,
                connectTimeout: .seconds(3600),
                requestTimeout: .seconds(3600),
                logger: cluster.logger
            )
            let error = await #expect(throws: KubernetesError.self) {
                try await client.get(Lease.self, name: "lock", namespace: "default")
            }
            #expect(error?.code == .notFound)
            await client.shutdown()
        }
    }

    @Test(arguments: [(100, 0), (101, 0), (102, 0), (90, 10), (110, -8)])
    func `a request that takes long is no difference of the clocks`(date: Int64, ahead: Int64) {
        #expect(KubernetesClient.clockAhead(of: date, sent: 100, received: 102) == .seconds(ahead))
    }

    @Test(arguments: [403, 503])
    func `an error with a body of megabytes keeps its HTTP status`(status: Int) async throws {
        try await TestCluster.with { cluster in
            let body = [UInt8](repeating: UInt8(ascii: "x"), count: 3 << 20)
            cluster.server.intercept { _ in .respond(status: status, body: body) }
            let unary = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            let streamed = await #expect(throws: KubernetesError.self) {
                try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            }
            for error in [unary, streamed] {
                #expect(error?.httpStatus == status)
                // It has no Status: a 503 may be a proxy's.
                #expect(error?.wasDefinitelyNotApplied == (status == 403))
            }
        }
    }

    @Test func `a rejected token is read again once`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/token"
            try write("expired", to: file)
            try await TestCluster.with(credentials: .tokenFile(path: file)) { cluster in
                _ = try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
                cluster.server.intercept { request in
                    if request.user == nil { try? write(SimulatedAPIServer.adminToken, to: file) }
                    return nil
                }
                _ = try await get(cluster)
                _ = try await get(cluster)
                #expect(cluster.requests == ["get leases 401", "get leases 200", "get leases 200"])
                #expect(cluster.observations.values.map(\.httpStatus) == [200, 200])
            }
        }
    }

    @Test func `a token that is rejected again is unauthorized`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/token"
            try write("expired", to: file)
            try await TestCluster.with(credentials: .tokenFile(path: file)) { cluster in
                let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
                #expect(error?.code == .unauthorized)
                #expect(cluster.requests == ["get leases 401"])
            }
        }
    }

    @Test func `a missing token file is unauthorized`() async throws {
        try await TestCluster.with(credentials: .tokenFile(path: "/nowhere/token")) { cluster in
            let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .unauthorized)
            #expect(error?.message.contains("cannot read /nowhere/token") == true)
            #expect(error?.wasDefinitelyNotApplied == true)
            #expect(cluster.requests.isEmpty)
        }
    }

    private static let protobuf = "application/vnd.kubernetes.protobuf"
    private static let advice =
        "this client supports only Kubernetes' protobuf; connect it directly to "
        + "kube-apiserver, or let the proxy pass application/vnd.kubernetes.protobuf"

    @Test(arguments: ["application/json", "text/html; charset=utf-8", "application/vnd.kubernetes.protobuf+x"])
    func `a response in another encoding is an error that names both encodings`(_ contentType: String) async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { _ in
                .respond(status: 200, headers: ["Content-Type": contentType], body: Array("{}".utf8))
            }
            let message = "leases default/lock: 200: requested \(Self.protobuf), the response is \(contentType): "
            var error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .decoding)
            #expect(error?.message == "get \(message)\(Self.advice)")
            #expect(cluster.observations.values.map(\.httpStatus) == [200])
            // The object may have been created.
            error = await #expect(throws: KubernetesError.self) {
                try await cluster.client.create(Lease.named("lock", holder: "me"))
            }
            #expect(error?.wasDefinitelyNotApplied == false)
            error = await #expect(throws: KubernetesError.self) {
                try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            }
            #expect(error?.code == .decoding)
            #expect(error?.message.hasPrefix("watch persistentvolumes: 200: requested") == true)
        }
    }

    @Test(arguments: [nil, "APPLICATION/vnd.kubernetes.protobuf ; stream=watch"])
    func `protobuf is accepted with any parameters of its media type`(_ contentType: String?) async throws {
        try await TestCluster.with { cluster in
            let lease = try Envelope.encode(Lease.named("lock", holder: "me"))
            cluster.server.intercept { _ in
                .respond(status: 200, headers: contentType.map { ["Content-Type": $0] } ?? [:], body: lease)
            }
            #expect(try await get(cluster).spec.holderIdentity == "me")
        }
    }

    @Test(arguments: [406, 415])
    func `a server without protobuf is an error with advice`(_ status: Int) async throws {
        try await TestCluster.with { cluster in
            let text = "only the following media types are accepted: application/json"
            cluster.server.intercept { _ in
                .fail(StatusError(code: status, reason: "NotAcceptable", message: text))
            }
            let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .badRequest)
            #expect(
                error?.message
                    == "get leases default/lock: \(status): \(text); requested \(Self.protobuf): \(Self.advice)"
            )
        }
    }

    @Test func `the error names the missing RBAC rule`() async throws {
        let users = ["guest": APIUser(name: "guest", rules: [])]
        try await TestCluster.with(users: users, credentials: .token("guest")) { cluster in
            let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .forbidden)
            let rule = #"{apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get"]}"#
            #expect(error?.message.contains(rule) == true)
        }
    }

    @Test func `Retry-After is read from the response`() async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { _ in
                .fail(StatusError(code: 429, reason: "TooManyRequests", message: "busy"), headers: ["Retry-After": "3"])
            }
            let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .tooManyRequests)
            #expect(error?.retryAfter == .seconds(3))
            #expect(cluster.requests.count == 1)
        }
    }

    @Test func `errors of a proxy are not errors of the API server`() async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { _ in .respond(status: 503, body: Array("<h1>no backend</h1>".utf8)) }
            var error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .serverError)
            #expect(error?.message == "get leases default/lock: 503: <h1>no backend</h1>")
            cluster.server.intercept { _ in .respond(status: 200, body: Array("{}".utf8)) }
            error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .decoding)
            cluster.server.intercept { _ in .cut }
            error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .transport)
            #expect(error?.cause is HTTPError)
        }
    }

    @Test func `the rate limit applies to all requests except watches`() async throws {
        let limit = RateLimit(queriesPerSecond: 1, burst: 2)
        try await TestCluster.with(rateLimit: limit) { cluster in
            try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
            for _ in 0..<4 { _ = try await get(cluster) }
            #expect(cluster.clock.sleeps == [.seconds(1), .seconds(1)])
            _ = try await cluster.client.watch(Lease.self, resourceVersion: "1")
            #expect(cluster.clock.sleeps.count == 2)
        }
    }

    @Test func `every request is observed`() async throws {
        try await TestCluster.with { cluster in
            _ = try? await get(cluster)
            try await cluster.client.create(Lease.named("lock", holder: "a"))
            cluster.server.intercept { _ in .cut }
            _ = try? await get(cluster)
            _ = try? await cluster.client.patch(
                PersistentVolumeClaim.self,
                name: "data",
                namespace: "shop",
                [:],
                subresource: "status"
            )
            let observations = cluster.observations.values
            #expect(observations.map(\.verb) == ["get", "create", "get", "patch"])
            #expect(observations.map(\.resource) == ["leases", "leases", "leases", "persistentvolumeclaims/status"])
            #expect(observations.map(\.code) == ["404", "201", "<error>", "<error>"])
            #expect(observations.map(\.httpStatus) == [404, 201, nil, nil])
            #expect(observations.map(\.method) == ["GET", "POST", "GET", "PATCH"])
            let host = cluster.server.url.split(separator: "//").last.map(String.init)
            #expect(Set(observations.map(\.host)) == [host])
        }
    }

    @Test func `no secret is logged`() async throws {
        try await TestCluster.with { cluster in
            try await cluster.client.create(Lease.named("lock", holder: "holder-in-the-body"))
            let log = cluster.log
            #expect(log.count == 1)
            #expect(log.first?.hasPrefix("trace API request") == true)
            #expect(log.first?.contains("/apis/coordination.k8s.io/v1/namespaces/default/leases") == true)
            #expect(log.first?.contains("201") == true)
            #expect(log.contains { $0.contains(SimulatedAPIServer.adminToken) || $0.contains("holder-in") } == false)
        }
    }

    @Test func `cancellation ends a request`() async throws {
        try await TestCluster.with { cluster in
            let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
            cluster.server.intercept { _ in
                arrival.yield()
                await untilCancelled()
                return .cut
            }
            await withTaskGroup(of: KubernetesError.Code?.self) { group in
                group.addTask {
                    do {
                        _ = try await get(cluster)
                        return nil
                    } catch {
                        return (error as? KubernetesError)?.code
                    }
                }
                _ = await arrivals.first { _ in true }
                group.cancelAll()
                #expect(await group.next() == .cancelled)
            }
        }
    }

    @Test func `shutdown ends requests and watches`() async throws {
        try await TestCluster.with { cluster in
            let watch = try await cluster.client.watch(Lease.self, resourceVersion: "1")
            await cluster.client.shutdown()
            var error = await #expect(throws: KubernetesError.self) { try await watch.collected() }
            #expect(error?.code == .shutdown)
            error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .shutdown)
        }
    }

    @Test func `a server with an unknown certificate authority is not trusted`() async throws {
        let stranger = try TestCertificateAuthority()
        try await TestCluster.with(authority: stranger) { cluster in
            let error = await #expect(throws: KubernetesError.self) { try await get(cluster) }
            #expect(error?.code == .transport)
            #expect((error?.cause as? HTTPError)?.code == .tls)
            #expect(cluster.requests.isEmpty)
        }
    }
}

/// Returns when the task is cancelled.
private func untilCancelled() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    await withTaskCancellationHandler {
        for await _ in stream {}
    } onCancel: {
        continuation.finish()
    }
}
