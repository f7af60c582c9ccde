// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

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

@Suite(.timeLimit(.minutes(50))) struct VolumeSecretsTests {
    static let name = SecretName(namespace: "default", name: "array")

    /// A simulated API server and a cache of its Secrets, on a clock that the test advances.
    struct Scene: Sendable {
        let server: SimulatedAPIServer
        let clock = ManualClock()
        let secrets: VolumeSecrets

        init(server: SimulatedAPIServer, client: KubernetesClient) {
            self.server = server
            self.secrets = VolumeSecrets(client: client, time: ElapsedTime(clock))
        }

        /// Replaces the Secret; nil: deletes it.
        func set(_ contents: [String: String]?, of name: SecretName = VolumeSecretsTests.name) throws {
            try set(bytes: contents?.mapValues { Data($0.utf8) }, of: name)
        }

        func set(bytes contents: [String: Data]?, of name: SecretName = VolumeSecretsTests.name) throws {
            if try server.object(kind: "Secret", namespace: name.namespace, name: name.name) != nil {
                try server.delete(kind: "Secret", namespace: name.namespace, name: name.name)
            }
            guard let contents else { return }
            try server.create([
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": ["namespace": .string(name.namespace), "name": .string(name.name)],
                "data": .object(contents.mapValues { .string($0.base64EncodedString()) }),
            ])
        }

        /// How often a Secret was read from the API server.
        var reads: Int { server.journal.records.count { $0.request.resource == "secrets" } }

        func read(_ name: SecretName = VolumeSecretsTests.name) async -> ReadResult {
            do {
                return ReadResult(contents: try await secrets.secrets(for: name))
            } catch {
                return ReadResult(error: error)
            }
        }
    }

    /// The result of a read.
    struct ReadResult: Sendable {
        var contents: [String: String]?
        var error: KubernetesError?
    }

    static func run(_ body: (Scene) async throws -> Void) async throws {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users["monitor"] = APIUser(
            name: "csi-health-monitor",
            rules: [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["secrets"])]
        )
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let client = try server.client(token: "monitor")
            let result = await Result { try await body(Scene(server: server, client: client)) }
            await client.shutdown()
            try result.get()
        }
    }

    @Test func `a Secret is cached for its lifetime`() async throws {
        try await Self.run { scene in
            try scene.set(["user": "admin"])
            #expect(await scene.read().contents == ["user": "admin"])
            try scene.set(["user": "root", "zone": ""])
            scene.clock.advance(by: .seconds(299))
            #expect(await scene.read().contents == ["user": "admin"])
            #expect(scene.reads == 1)
            scene.clock.advance(by: .seconds(1))
            #expect(await scene.read().contents == ["user": "root", "zone": ""])
            #expect(scene.reads == 2)
        }
    }

    @Test func `only the one Secret is requested`() async throws {
        try await Self.run { scene in
            try scene.set([:])
            #expect(await scene.read().contents == [:])
            let request = try #require(scene.server.journal.records.first?.request)
            #expect(request.verb == .get)
            #expect(request.path == "/api/v1/namespaces/default/secrets/array")
        }
    }

    @Test func `concurrent readers share one request`() async throws {
        try await Self.run { scene in
            try scene.set(["user": "admin"])
            let (gate, open) = AsyncStream.makeStream(of: Void.self)
            scene.server.intercept { request in
                for await _ in gate {}
                return nil
            }
            let results = await withTaskGroup { group in
                let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
                for _ in 0..<20 {
                    group.addTask {
                        arrival.yield()
                        return await scene.read()
                    }
                }
                var arrived = arrivals.makeAsyncIterator()
                for _ in 0..<20 { await arrived.next() }
                open.finish()
                return await group.reduce(into: []) { $0.append($1.contents) }
            }
            #expect(results == Array(repeating: ["user": "admin"], count: 20))
            #expect(scene.reads == 1)
        }
    }

    @Test func `a failure is cached for 30 seconds`() async throws {
        try await Self.run { scene in
            for _ in 0..<2_000 {
                #expect(await scene.read().error?.code == .notFound)
            }
            #expect(scene.reads == 1)
            try scene.set([:])
            scene.clock.advance(by: .seconds(29))
            #expect(await scene.read().error?.code == .notFound)
            scene.clock.advance(by: .seconds(1))
            #expect(await scene.read().contents == [:])
        }
    }

    @Test func `Retry-After is honoured`() async throws {
        try await Self.run { scene in
            scene.server.intercept { _ in
                .fail(
                    StatusError(code: 429, reason: "TooManyRequests", message: "later"),
                    headers: ["Retry-After": "45"]
                )
            }
            _ = await scene.read()
            scene.clock.advance(by: .seconds(44))
            _ = await scene.read()
            #expect(scene.reads == 1)
            scene.clock.advance(by: .seconds(1))
            _ = await scene.read()
            #expect(scene.reads == 2)
        }
    }

    @Test func `cancelling one reader does not cancel the others`() async throws {
        try await Self.run { scene in
            try scene.set(["user": "admin"])
            let first = Mutex(true)
            let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
            scene.server.intercept { request in
                let isFirst = first.withLock { first in
                    defer { first = false }
                    return first
                }
                if isFirst {
                    arrival.finish()
                    // Until the client cancels the request.
                    let (never, _) = AsyncStream.makeStream(of: Never.self)
                    for await _ in never {}
                    return .cut
                }
                return nil
            }
            let reader = Task { await scene.read() }
            for await _ in arrivals {}
            let other = Task { await scene.read() }
            reader.cancel()
            #expect(await reader.value.error?.code == .cancelled)
            #expect(await other.value.contents == ["user": "admin"])
        }
    }

    @Test func `a waiting reader returns when it is cancelled`() async throws {
        try await Self.run { scene in
            let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
            let (gate, open) = AsyncStream.makeStream(of: Void.self)
            scene.server.intercept { request in
                arrival.finish()
                for await _ in gate {}
                return .cut
            }
            let reader = Task { await scene.read() }
            for await _ in arrivals {}
            let other = Task { await scene.read() }
            other.cancel()
            #expect(await other.value.error?.code == .cancelled)
            open.finish()
            #expect(await reader.value.error?.code == .transport)
            #expect(scene.reads == 1)
        }
    }

    @Test func `a value that is not text is named and not shown`() async throws {
        try await Self.run { scene in
            try scene.set(bytes: ["key": Data("hunter".utf8) + [0xFF], "user": Data("admin".utf8)])
            let error = await scene.read().error
            #expect(error?.code == .decoding)
            #expect(error?.message.hasPrefix("secret default/array: the value of key is not UTF-8") == true)
            #expect(error?.message.contains("hunter") == false)
        }
    }

    /// The API server does not validate an annotation's value.
    @Test func `a Secret with an annotation that is not UTF-8 is read`() async throws {
        try await Self.run { scene in
            try scene.server.create([
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": [
                    "namespace": .string(Self.name.namespace), "name": .string(Self.name.name),
                    "annotations": ["a": .string(String(storedBytes: [0xFF]))],
                ],
                "data": ["user": .string(Data("admin".utf8).base64EncodedString()), "none": ""],
            ])
            #expect(await scene.read().contents == ["user": "admin", "none": ""])
        }
    }

    @Test func `Secrets that are no longer read are forgotten`() async throws {
        try await Self.run { scene in
            let other = SecretName(namespace: "default", name: "other")
            try scene.set([:])
            try scene.set([:], of: other)
            _ = await scene.read(other)
            #expect(scene.secrets.count == 1)
            scene.clock.advance(by: .seconds(300))
            _ = await scene.read()
            #expect(scene.secrets.count == 1)
        }
    }

    @Test(arguments: [
        (VolumeSecretsKind.none, nil),
        (.controllerPublish, SecretName(namespace: "a", name: "publish")),
        (.controllerExpand, SecretName(namespace: "b", name: "expand")),
        (.nodeStage, SecretName(namespace: "c", name: "stage")),
    ])
    func `the kind selects the reference`(kind: VolumeSecretsKind, expected: SecretName?) throws {
        func reference(_ namespace: String, _ name: String) -> SecretReference {
            var reference = SecretReference()
            reference.namespace = namespace
            reference.name = name
            return reference
        }
        var volume = PersistentVolume()
        #expect(try WatchedVolume(volume).monitored(secrets: kind).secret == nil)
        volume.spec.persistentVolumeSource.csi.controllerPublishSecretRef = reference("a", "publish")
        volume.spec.persistentVolumeSource.csi.controllerExpandSecretRef = reference("b", "expand")
        volume.spec.persistentVolumeSource.csi.nodeStageSecretRef = reference("c", "stage")
        #expect(try WatchedVolume(volume).monitored(secrets: kind).secret == expected)
    }
}
