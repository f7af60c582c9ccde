// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Synchronization

/// A Kubernetes API server for tests, demonstrations and benchmarks: real sockets, TLS with a CA of its own, HTTP/2 and
/// HTTP/1.1, JSON and protobuf, and no cluster behind it.
///
/// It serves PersistentVolumes, PersistentVolumeClaims, Events, Namespaces, Pods, Nodes, Secrets and Leases as the real
/// server does: get, list (pages, selectors), watch (bookmarks, 410), create, update, merge patch, delete, the status
/// subresource, optimistic locking, finalizers, feature gates, RBAC by bearer token; kubectl works with it. No controller
/// runs: nothing is bound, scheduled or collected unless the test does so, and a Pod that is deleted is gone at once.
///
/// A test sets the scene through `create` and its siblings, plans faults with `intercept` and `watches`, and asserts on
/// `journal` and on the objects.
public final class SimulatedAPIServer: Sendable {
    /// How a server is set up.
    public struct Configuration: Sendable {
        /// Who may ask, by bearer token.
        public var users: [String: APIUser]
        /// How often a watch that allows bookmarks gets one. The real server: about a minute.
        public var bookmarkInterval: Duration
        /// What the timers of watches wait on.
        public var clock: any Clock<Duration>
        /// The time that objects are stamped with, in seconds since 1970.
        public var now: @Sendable () -> Int64
        /// The port on 127.0.0.1; 0: any free one.
        public var port = 0

        /// One user, "admin", who may do everything, with the token of `SimulatedAPIServer.adminToken`.
        public init() {
            users = [SimulatedAPIServer.adminToken: APIUser(name: "admin")]
            bookmarkInterval = .seconds(60)
            clock = ContinuousClock()
            now = { Int64(Date().timeIntervalSince1970) }
        }
    }

    /// The token of the user who may do everything.
    public static let adminToken = "simulated-admin"

    /// `https://127.0.0.1:PORT`
    public let url: String
    /// The certificate authority that the server's certificate is of.
    public let certificateAuthority: TestCertificateAuthority
    /// Every request so far and to come.
    public let journal: Journal<RequestRecord>
    let cluster: Cluster
    private let interceptor: InterceptorBox

    private init(
        url: String,
        certificateAuthority: TestCertificateAuthority,
        cluster: Cluster,
        journal: Journal<RequestRecord>,
        interceptor: InterceptorBox
    ) {
        self.url = url
        self.certificateAuthority = certificateAuthority
        self.cluster = cluster
        self.journal = journal
        self.interceptor = interceptor
    }

    /// Runs a server for as long as `body` runs.
    ///
    /// When `body` returns or throws, watches end in good order and the server is gone before this returns.
    public static func withServer<Result: Sendable>(
        configuration: Configuration = Configuration(),
        _ body: (SimulatedAPIServer) async throws -> Result
    ) async throws -> Result {
        let now = configuration.now
        let cluster = try Cluster { Timestamp(seconds: now()) }
        let journal = Journal<RequestRecord>()
        let interceptor = InterceptorBox()
        let handler = RequestHandler(
            cluster: cluster,
            authorizer: Authorizer(users: configuration.users),
            journal: journal,
            interceptor: { interceptor.current },
            bookmarkInterval: configuration.bookmarkInterval,
            clock: configuration.clock
        )
        let certificateAuthority = try TestCertificateAuthority()
        let identity = try certificateAuthority.issueServer(names: ["127.0.0.1", "localhost"])
        return try await TestHTTPServer.withServer(
            .init(identity: identity, port: configuration.port),
            handler: handler.handle
        ) { http in
            let server = SimulatedAPIServer(
                url: http.url,
                certificateAuthority: certificateAuthority,
                cluster: cluster,
                journal: journal,
                interceptor: interceptor
            )
            defer {
                for watch in cluster.watches { watch.end() }
                journal.finish()
            }
            return try await body(server)
        }
    }

    // MARK: Faults

    /// From now on, this sees every request before it is served; nil ends that.
    public func intercept(_ interceptor: Interceptor?) {
        self.interceptor.current = interceptor
    }

    /// The feature gates that are on: all, until a test switches them off. What stands behind a gate that is off is
    /// dropped from what is written, without an error, unless the object has had it from before.
    public var featureGates: Set<FeatureGate> {
        get { cluster.featureGates }
        set { cluster.featureGates = newValue }
    }

    /// The open watches, in the order of their beginning. A watch is open before its record is in the journal.
    public var watches: [WatchHandle] { cluster.watches }

    /// Forgets the history of changes and the rest of every paged list: what asks for them gets 410.
    public func compact() {
        cluster.compact()
    }
}

/// The latest interceptor of a server, shared with its handler.
private final class InterceptorBox: Sendable {
    private let state = Mutex<Interceptor?>(nil)

    var current: Interceptor? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
