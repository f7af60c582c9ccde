// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesAPI
import KubernetesClient
import Logging
import SwiftProtobuf
import Synchronization

/// A clock whose sleeps return at once, and advance its time.
final class SkippingClock: Clock, Sendable {
    struct Instant: InstantProtocol {
        var offset: Duration

        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct State {
        var now = Instant(offset: .zero)
        var sleeps: [Duration] = []
    }

    private let state = Mutex(State())

    var now: Instant { state.withLock { $0.now } }
    var minimumResolution: Duration { .zero }
    /// The durations of all sleeps.
    var sleeps: [Duration] { state.withLock { $0.sleeps } }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try Task.checkCancellation()
        state.withLock {
            $0.sleeps.append($0.now.duration(to: deadline))
            $0.now = max($0.now, deadline)
        }
    }
}

/// Collects the values that are passed to an observer.
final class Collected<Value: Sendable>: Sendable {
    private let state = Mutex<[Value]>([])

    var values: [Value] { state.withLock { $0 } }

    func append(_ value: Value) { state.withLock { $0.append(value) } }
}

/// A client of a simulated API server, with its log and its clock.
struct TestCluster {
    let server: SimulatedAPIServer
    let client: KubernetesClient
    let clock = SkippingClock()
    let observations = Collected<KubernetesClient.RequestObservation>()
    /// The undecodable objects.
    let skipped = Collected<UndecodableObject>()
    private let logHandler: InMemoryLogHandler
    let logger: Logger

    private init(
        server: SimulatedAPIServer,
        credentials: KubernetesConfiguration.Credentials,
        authority: TestCertificateAuthority,
        rateLimit: RateLimit?
    ) throws {
        var handler = InMemoryLogHandler()
        handler.logLevel = .trace
        let observations = observations
        let skipped = skipped
        self.server = server
        logHandler = handler
        logger = Logger(label: "test") { [handler] _ in handler }
        client = try KubernetesClient(
            configuration: KubernetesConfiguration(
                server: server.url,
                tls: TLSConfiguration(certificateAuthorities: Array(authority.certificatePEM.utf8)),
                credentials: credentials
            ),
            userAgent: "test/1.0",
            rateLimit: rateLimit,
            connectTimeout: .seconds(3600),
            requestTimeout: .seconds(3600),
            logger: logger,
            clock: clock,
            observer: { observations.append($0) },
            skippedObject: { skipped.append($0) }
        )
    }

    /// - Parameters:
    ///   - users: by token, in addition to the administrator.
    ///   - credentials: the administrator's by default.
    ///   - authority: the authority that the client trusts; the server's by default.
    ///   - streamsLists: whether the server supports streaming lists.
    static func with(
        users: [String: APIUser] = [:],
        credentials: KubernetesConfiguration.Credentials = .token(SimulatedAPIServer.adminToken),
        authority: TestCertificateAuthority? = nil,
        rateLimit: RateLimit? = nil,
        streamsLists: Bool = false,
        _ body: (TestCluster) async throws -> Void
    ) async throws {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users.merge(users) { $1 }
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            server.featureGates = streamsLists ? [.watchList] : []
            let cluster = try TestCluster(
                server: server,
                credentials: credentials,
                authority: authority ?? server.certificateAuthority,
                rateLimit: rateLimit
            )
            do {
                try await body(cluster)
            } catch {
                await cluster.client.shutdown()
                throw error
            }
            await cluster.client.shutdown()
        }
    }

    /// The log, as `level message metadata`.
    var log: [String] {
        logHandler.entries.map { "\($0.level) \($0.message) \($0.metadata)" }
    }

    /// The requests so far, as `verb plural code`.
    var requests: [String] {
        server.journal.records.map {
            "\($0.request.verb?.rawValue ?? "none") \($0.request.resource) \($0.code.map(String.init) ?? "cut")"
        }
    }
}

// MARK: - Objects

extension JSONValue {
    static func volume(_ name: String) -> JSONValue {
        [
            "kind": "PersistentVolume", "apiVersion": "v1", "metadata": ["name": .string(name)],
            "spec": [
                "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"],
                "csi": ["driver": "hostpath.csi.k8s.io", "volumeHandle": .string("handle-\(name)")],
            ],
        ]
    }
}

extension Lease {
    static func named(_ name: String, holder: String) -> Lease {
        .with {
            $0.metadata.name = name
            $0.metadata.namespace = "default"
            $0.spec.holderIdentity = holder
        }
    }
}

extension ListPage {
    /// All objects of the page.
    var items: [O] {
        get throws {
            var page = self
            var items: [O] = []
            while let item = try page.next() { items.append(item) }
            return items
        }
    }
}

extension AsyncSequence where Element: Sendable {
    /// The elements until the end or an error.
    func collected() async throws -> [Element] {
        var elements: [Element] = []
        for try await element in self { elements.append(element) }
        return elements
    }
}
