// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Synchronization

/// A Kubernetes API server for tests, the demo and benchmarks: real sockets, TLS with a CA of its own, HTTP/2 and
/// HTTP/1.1, JSON and protobuf, but no cluster.
///
/// It serves PersistentVolumes, PersistentVolumeClaims, Events, Namespaces, Pods, Nodes, Secrets and Leases as the real
/// server does: get, list (pages, selectors), watch (bookmarks, 410), create, update, merge patch, delete, the status
/// subresource, optimistic locking, finalizers, feature gates, RBAC by bearer token; kubectl works with it. No
/// controller runs: nothing is bound, scheduled or collected unless the test does so, and a deleted Pod is gone at
/// once.
///
/// A test creates objects with `create` and its siblings, injects faults with `intercept` and `watches`, and asserts on
/// `journal` and on the objects.
package final class SimulatedAPIServer: Sendable {
    package struct Configuration: Sendable {
        /// By bearer token.
        package var users: [String: APIUser]
        /// How often a watch that allows bookmarks gets one; about a minute in the real server.
        package var bookmarkInterval: Duration
        /// For the timers of watches.
        package var clock: any Clock<Duration>
        /// The time for timestamps of objects, in seconds since 1970.
        package var now: @Sendable () -> Int64
        /// The port on 127.0.0.1; 0 chooses a free one.
        package var port = 0

        /// One user, "admin", who may do everything, with the token `SimulatedAPIServer.adminToken`.
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
    /// The issuer of the server's certificate.
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
    /// When `body` returns or throws, watches end regularly, and the server has stopped when this returns.
    package static func withServer<Result: Sendable>(
        configuration: Configuration = Configuration(),
        _ body: (SimulatedAPIServer) async throws -> Result
    ) async throws -> Result {
        let now = configuration.now
        let offset = ClockOffset()
        let cluster = try Cluster { Timestamp(seconds: now() + offset.seconds) }
        let journal = Journal<RequestRecord>()
        let interceptor = InterceptorBox()
        // A test's interceptor may hold a reference to the server.
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

    /// The names in its certificate.
    private static let names = ["127.0.0.1", "localhost"]

    /// By bearer token; a change applies from the next request on.
    package var users: [String: APIUser] {
        get { directory.all }
        set { directory.all = newValue }
    }

    /// How many connections clients have made so far.
    package var acceptedConnections: Int { http.acceptedConnections }

    // MARK: Faults

    /// Sets the interceptor, which sees every request before it is served; nil removes it.
    package func intercept(_ interceptor: Interceptor?) {
        self.interceptor.current = interceptor
    }

    /// The enabled feature gates; at first CSIVolumeHealth and WatchList. A field behind a disabled gate is dropped
    /// from writes without an error, unless the object already has it.
    package var featureGates: Set<FeatureGate> {
        get { cluster.featureGates }
        set { cluster.featureGates = newValue }
    }

    /// `gitVersion` of `/version`.
    package var version: String {
        get { cluster.version }
        set { cluster.version = newValue }
    }

    /// The open watches, the oldest first. A watch is open before its record is in the journal.
    package var watches: [WatchHandle] { cluster.watches }

    /// Whether watches that allow bookmarks get them; true by default.
    package var sendsBookmarks: Bool {
        get { cluster.sendsBookmarks }
        set { cluster.sendsBookmarks = newValue }
    }

    /// Seconds by which the server's clock is ahead of its configured time.
    package var clockOffset: Int64 {
        get { offset.seconds }
        set { offset.seconds = newValue }
    }

    /// All objects at one moment.
    package struct Backup: Sendable {
        fileprivate let registry: Registry
    }

    /// All objects at this moment.
    package func backup() -> Backup {
        Backup(registry: cluster.registry)
    }

    /// Restores all objects and the resource version, as from a backup of etcd; every watch is cut.
    package func restore(_ backup: Backup) {
        cluster.restore(backup.registry)
    }

    /// Refuses connections from now on and cuts those that are open, until ``listenAgain()``.
    package func stopListening() async { await http.stopListening() }

    /// Listens again, on the same port.
    package func listenAgain() async throws { try await http.listenAgain() }

    /// Sets whether the TLS handshakes of new connections fail; setting it cuts open connections.
    package func breakHandshakes(_ areBroken: Bool) async { await http.breakHandshakes(areBroken) }

    /// Presents a new certificate, valid from yesterday for a year, or one that expired an hour ago; open connections
    /// are cut.
    package func replaceCertificate(isExpired: Bool) async throws {
        let now = Date()
        let validity = now.addingTimeInterval(-86_400)...now.addingTimeInterval(isExpired ? -3600 : 365 * 86_400)
        try await http.present(try certificateAuthority.issueServer(names: Self.names, validity: validity))
    }

    /// Cuts all connections; new ones are accepted.
    package func cutConnections() async { await http.cutConnections() }

    /// Forgets the history of changes and the rest of every paged list: requests for them get 410.
    package func compact() {
        cluster.compact()
    }
}

/// The interceptor of a server, shared with its handler.
private final class InterceptorBox: Sendable {
    /// A struct, because a Mutex of a function wraps the function once more with every access (Swift 6.3), and calls
    /// become slower and slower.
    private struct State {
        var current: Interceptor?
    }

    private let state = Mutex(State())

    var current: Interceptor? {
        get { state.withLock { $0.current } }
        set { state.withLock { $0.current = newValue } }
    }
}

/// The offset of a server's clock, shared with its cluster.
private final class ClockOffset: Sendable {
    private let value = Mutex<Int64>(0)

    var seconds: Int64 {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
