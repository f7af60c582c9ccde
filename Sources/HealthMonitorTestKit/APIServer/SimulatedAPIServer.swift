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
package final class SimulatedAPIServer: Sendable {
    /// How a server is set up.
    package struct Configuration: Sendable {
        /// Who may ask, by bearer token.
        package var users: [String: APIUser]
        /// How often a watch that allows bookmarks gets one. The real server: about a minute.
        package var bookmarkInterval: Duration
        /// What the timers of watches wait on.
        package var clock: any Clock<Duration>
        /// The time that objects are stamped with, in seconds since 1970.
        package var now: @Sendable () -> Int64
        /// The port on 127.0.0.1; 0: any free one.
        package var port = 0

        /// One user, "admin", who may do everything, with the token of `SimulatedAPIServer.adminToken`.
        package init() {
            users = [SimulatedAPIServer.adminToken: APIUser(name: "admin")]
            bookmarkInterval = .seconds(60)
            clock = ContinuousClock()
            now = { Int64(Date().timeIntervalSince1970) }
        }
    }

    /// The token of the user who may do everything.
    package static let adminToken = "simulated-admin"

    /// `https://127.0.0.1:PORT`
    package let url: String
    /// The certificate authority that the server's certificate is of.
    package let certificateAuthority: TestCertificateAuthority
    /// Every request so far and to come.
    package let journal: Journal<RequestRecord>
    let cluster: Cluster
    private let http: TestHTTPServer
    private let directory: UserDirectory
    private let offset: ClockOffset
    private let interceptor: InterceptorBox

    private init(
        http: TestHTTPServer,
        certificateAuthority: TestCertificateAuthority,
        cluster: Cluster,
        journal: Journal<RequestRecord>,
        directory: UserDirectory,
        offset: ClockOffset,
        interceptor: InterceptorBox
    ) {
        self.url = http.url
        self.http = http
        self.certificateAuthority = certificateAuthority
        self.cluster = cluster
        self.journal = journal
        self.directory = directory
        self.offset = offset
        self.interceptor = interceptor
    }

    /// Runs a server for as long as `body` runs.
    ///
    /// When `body` returns or throws, watches end in good order and the server is gone before this returns.
    package static func withServer<Result: Sendable>(
        configuration: Configuration = Configuration(),
        _ body: (SimulatedAPIServer) async throws -> Result
    ) async throws -> Result {
        let now = configuration.now
        let offset = ClockOffset()
        let cluster = try Cluster { Timestamp(seconds: now() + offset.seconds) }
        let journal = Journal<RequestRecord>()
        let interceptor = InterceptorBox()
        // A test's interceptor may hold the server.
        defer { interceptor.current = nil }
        let directory = UserDirectory(configuration.users)
        let handler = RequestHandler(
            cluster: cluster,
            users: directory,
            journal: journal,
            interceptor: { interceptor.current },
            bookmarkInterval: configuration.bookmarkInterval,
            clock: configuration.clock
        )
        let certificateAuthority = try TestCertificateAuthority()
        let identity = try certificateAuthority.issueServer(names: names)
        return try await TestHTTPServer.withServer(
            .init(identity: identity, port: configuration.port),
            handler: handler.handle
        ) { http in
            let server = SimulatedAPIServer(
                http: http,
                certificateAuthority: certificateAuthority,
                cluster: cluster,
                journal: journal,
                directory: directory,
                offset: offset,
                interceptor: interceptor
            )
            defer {
                for watch in cluster.watches { watch.end() }
                journal.finish()
            }
            return try await body(server)
        }
    }

    /// What its certificate is for.
    private static let names = ["127.0.0.1", "localhost"]

    /// Who may ask, by bearer token; counts from the next request on.
    package var users: [String: APIUser] {
        get { directory.all }
        set { directory.all = newValue }
    }

    /// How many connections clients have made so far.
    package var acceptedConnections: Int { http.acceptedConnections }

    // MARK: Faults

    /// From now on, this sees every request before it is served; nil ends that.
    package func intercept(_ interceptor: Interceptor?) {
        self.interceptor.current = interceptor
    }

    /// The feature gates that are on; at first CSIVolumeHealth. What stands behind a gate that is off is
    /// dropped from what is written, without an error, unless the object has had it from before.
    package var featureGates: Set<FeatureGate> {
        get { cluster.featureGates }
        set { cluster.featureGates = newValue }
    }

    /// `gitVersion` of `/version`.
    package var version: String {
        get { cluster.version }
        set { cluster.version = newValue }
    }

    /// The open watches, in the order of their beginning. A watch is open before its record is in the journal.
    package var watches: [WatchHandle] { cluster.watches }

    /// Whether watches that allow bookmarks get them: yes, until a test says otherwise.
    package var sendsBookmarks: Bool {
        get { cluster.sendsBookmarks }
        set { cluster.sendsBookmarks = newValue }
    }

    /// How far the server's clock is ahead of the time that it was configured with, in seconds.
    package var clockOffset: Int64 {
        get { offset.seconds }
        set { offset.seconds = newValue }
    }

    /// All objects at one moment.
    package struct Backup: Sendable {
        fileprivate let registry: Registry
    }

    /// All objects as they are now.
    package func backup() -> Backup {
        Backup(registry: cluster.registry)
    }

    /// Puts all objects back to what they were, and the version with them, as after the loss of etcd's data; every watch
    /// is cut.
    package func restore(_ backup: Backup) {
        cluster.restore(backup.registry)
    }

    /// Refuses connections from now on and cuts those that are open, until ``listenAgain()``.
    package func stopListening() async { await http.stopListening() }

    /// Listens again, on the same port.
    package func listenAgain() async throws { try await http.listenAgain() }

    /// Whether the TLS handshakes of new connections fail; open connections are cut when it becomes so.
    package func breakHandshakes(_ areBroken: Bool) async { await http.breakHandshakes(areBroken) }

    /// Presents a new certificate, valid from yesterday for a year, or one that expired an hour ago; open connections
    /// are cut.
    package func replaceCertificate(isExpired: Bool) async throws {
        let now = Date()
        let validity = now.addingTimeInterval(-86_400)...now.addingTimeInterval(isExpired ? -3600 : 365 * 86_400)
        try await http.present(try certificateAuthority.issueServer(names: Self.names, validity: validity))
    }

    /// Cuts all connections; new ones are welcome.
    package func cutConnections() async { await http.cutConnections() }

    /// Forgets the history of changes and the rest of every paged list: what asks for them gets 410.
    package func compact() {
        cluster.compact()
    }
}

/// The latest interceptor of a server, shared with its handler.
private final class InterceptorBox: Sendable {
    /// Not the function itself: with every look at it, a Mutex of functions wraps it once more (Swift 6.3), and a call of
    /// it takes longer and longer.
    private struct State {
        var current: Interceptor?
    }

    private let state = Mutex(State())

    var current: Interceptor? {
        get { state.withLock { $0.current } }
        set { state.withLock { $0.current = newValue } }
    }
}

/// How wrong a server's clock is, shared with its cluster.
private final class ClockOffset: Sendable {
    private let value = Mutex<Int64>(0)

    var seconds: Int64 {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
