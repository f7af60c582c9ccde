// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
package import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The HTTP endpoint for people and machines that look after the process: metrics, and health checks by path.
///
/// Made to survive whoever can reach the port: one request per connection, a bound on the bytes of a request, on the
/// time of an exchange, and on the connections at a time; a connection over the last bound is closed at once.
package struct DiagnosticsEndpoint: Sendable {
    /// Where to listen and what to put up with.
    package struct Configuration: Sendable {
        /// Where to listen.
        package var address: ListenAddress
        /// The path of the metrics.
        package var metricsPath: String
        /// The most bytes of one request, headers and body.
        package var requestSizeLimit: Int
        /// How long one connection may last, from its beginning to the end of the response.
        package var exchangeTimeLimit: Duration
        /// How many connections may be open at a time.
        package var connectionLimit: Int

        /// Describes an endpoint. The default limits suit kubelets and Prometheus.
        package init(
            address: ListenAddress,
            metricsPath: String = "/metrics",
            requestSizeLimit: Int = 16_384,
            exchangeTimeLimit: Duration = .seconds(10),
            connectionLimit: Int = 128
        ) {
            self.address = address
            self.metricsPath = metricsPath
            self.requestSizeLimit = requestSizeLimit
            self.exchangeTimeLimit = exchangeTimeLimit
            self.connectionLimit = connectionLimit
        }
    }

    private let configuration: Configuration
    private let responder: Responder
    private let didListen: @Sendable (ListenAddress) -> Void

    /// An endpoint; it listens in ``run()``.
    ///
    /// - Parameter didListen: called once connections are accepted, with the port that was chosen.
    package init(
        configuration: Configuration,
        metrics: MetricsRegistry,
        healthChecks: HealthChecks,
        didListen: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.didListen = didListen
        responder = Responder(metricsPath: configuration.metricsPath, metrics: metrics, healthChecks: healthChecks)
    }

    /// Listens and serves until it is cancelled. The port is free and all connections are closed when it returns.
    ///
    /// - Throws: ``DiagnosticsError`` when it cannot listen; `CancellationError` on cancellation.
    package func run() async throws {
        // One thread: a singleton group would have as many as the host has cores.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await serve(on: group)
        } catch {
            // Closes every connection.
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func serve(on group: MultiThreadedEventLoopGroup) async throws -> Never {
        let server = try await listen(on: group)
        var address = configuration.address
        address.port = server.localAddress?.port.flatMap(UInt16.init(exactly:)) ?? address.port
        didListen(address)
        try await withTaskCancellationHandler {
            try await server.closeFuture.get()
        } onCancel: {
            server.close(promise: nil)
        }
        try Task.checkCancellation()
        throw DiagnosticsError(code: .cannotListen, message: "stopped listening on \(address): the socket was closed")
    }

    private func listen(on group: MultiThreadedEventLoopGroup) async throws(DiagnosticsError) -> any Channel {
        let address = configuration.address
        do {
            guard address.host.isEmpty else { return try await bind(host: address.host, on: group) }
            do {
                // IPv4 as well, whatever net.ipv6.bindv6only says; as Go does, net/sockopt_linux.go.
                return try await bind(host: "::", isIPv6Only: false, on: group)
            } catch let error as IOError where error.errnoCode == EAFNOSUPPORT || error.errnoCode == EADDRNOTAVAIL {
                // A host without IPv6.
                return try await bind(host: "0.0.0.0", on: group)
            }
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw DiagnosticsError(
                code: .addressInUse,
                message:
                    "cannot listen on \(address): the port is in use; stop what listens there or take another port",
                cause: error
            )
        } catch {
            throw DiagnosticsError(code: .cannotListen, message: "cannot listen on \(address): \(error)", cause: error)
        }
    }

    private func bind(
        host: String,
        isIPv6Only: Bool? = nil,
        on group: MultiThreadedEventLoopGroup
    ) async throws -> any Channel {
        let openConnections = OpenConnections(limit: configuration.connectionLimit)
        // Channels with handlers, not `NIOAsyncChannel`: a connection that is accepted while the task is cancelled
        // would be dropped by the sequence of connections, and end the process (apple/swift-nio#2637).
        var bootstrap = ServerBootstrap(group: group)
        if let isIPv6Only {
            let option = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
            bootstrap = bootstrap.serverChannelOption(option, value: isIPv6Only ? 1 : 0)
        }
        return
            try await bootstrap
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try openConnections.add(channel)
                    try configure(connection: channel)
                }
            }
            .bind(host: host, port: Int(configuration.address.port))
            .get()
    }

    /// Makes a new connection one that is served. On its event loop.
    package func configure(connection channel: any Channel) throws {
        let deadline = channel.eventLoop.scheduleTask(in: TimeAmount(configuration.exchangeTimeLimit)) {
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in deadline.cancel() }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(RequestSizeLimit(bytes: configuration.requestSizeLimit))
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
        try pipeline.addHandler(ExchangeHandler(responder: responder))
    }
}

/// Counts the open connections.
private final class OpenConnections: Sendable {
    private struct TooMany: Error {}

    private let limit: Int
    private let count = Mutex(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Throws when there are too many; then the channel is closed by the one who accepted it.
    func add(_ channel: any Channel) throws {
        try count.withLock {
            guard $0 < limit else { throw TooMany() }
            $0 += 1
        }
        channel.closeFuture.whenComplete { _ in self.count.withLock { $0 -= 1 } }
    }
}
