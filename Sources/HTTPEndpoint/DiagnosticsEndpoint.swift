// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
package import Metrics
package import NIOCore
import NIOHTTP1
import NIOPosix

/// The HTTP/1.1 endpoint for kubelet probes, Prometheus and operators: metrics, and health checks and pages by
/// path.
///
/// Clients are not trusted. A connection serves one request; the size of a request, the duration of an exchange, the
/// number of open connections and that of large responses are limited. A connection above its limit is closed at once,
/// a large response above its limit is refused with 503. Health checks have no other limit than the connections; a
/// client that holds all of these keeps probes away, which a NetworkPolicy prevents.
package struct DiagnosticsEndpoint: Sendable {
    package struct Configuration: Sendable, Equatable {
        package var address: ListenAddress
        package var metricsPath: String
        /// In bytes, headers and body.
        package var requestSizeLimit: Int
        /// From accepting the connection to the end of the response.
        package var exchangeTimeLimit: Duration
        /// Open connections at a time.
        package var connectionLimit: Int
        /// Responses with metrics or a page at a time, from before they are made until their connection is closed. In a
        /// large outage each has megabytes, which stay in memory while its client does not read.
        package var largeResponseLimit: Int

        /// The default limits suit kubelets and Prometheus.
        package init(
            address: ListenAddress,
            metricsPath: String = "/metrics",
            requestSizeLimit: Int = 16_384,
            exchangeTimeLimit: Duration = .seconds(10),
            connectionLimit: Int = 128,
            largeResponseLimit: Int = 4
        ) {
            self.address = address
            self.metricsPath = metricsPath
            self.requestSizeLimit = requestSizeLimit
            self.exchangeTimeLimit = exchangeTimeLimit
            self.connectionLimit = connectionLimit
            self.largeResponseLimit = largeResponseLimit
        }
    }

    private let configuration: Configuration
    private let responder: Responder
    private let largeResponses: ConnectionLimit
    private let didListen: @Sendable (ListenAddress) -> Void

    /// - Parameter didListen: called once connections are accepted, with the port that the system chose for port 0.
    package init(
        configuration: Configuration,
        metrics: MetricsRegistry,
        healthChecks: HealthChecks,
        pages: Pages = Pages(),
        didListen: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.didListen = didListen
        largeResponses = ConnectionLimit(configuration.largeResponseLimit)
        responder = Responder(
            metricsPath: configuration.metricsPath,
            metrics: metrics,
            healthChecks: healthChecks,
            pages: pages
        )
    }

    /// Listens and serves until the task is cancelled. When it returns, the port is free and all connections are
    /// closed.
    ///
    /// - Throws: ``EndpointError`` if it cannot listen; `CancellationError` on cancellation.
    package func run() async throws {
        // One thread: the singleton group has one for each core of the host.
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
        throw EndpointError(code: .cannotListen, message: "listen on \(address): the socket was closed")
    }

    private func listen(on group: MultiThreadedEventLoopGroup) async throws(EndpointError) -> any Channel {
        let address = configuration.address
        do {
            guard address.host.isEmpty else { return try await bind(host: address.host, on: group) }
            do {
                // IPv4 too, regardless of the sysctl net.ipv6.bindv6only. As Go: net/sockopt_linux.go.
                return try await bind(host: "::", isIPv6Only: false, on: group)
            } catch let error as IOError where error.errnoCode == EAFNOSUPPORT || error.errnoCode == EADDRNOTAVAIL {
                // A host without IPv6.
                return try await bind(host: "0.0.0.0", on: group)
            }
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw EndpointError(
                code: .addressInUse,
                message:
                    "listen on \(address): the port is in use: stop the process that uses it, or choose another port",
                cause: error
            )
        } catch {
            throw EndpointError(code: .cannotListen, message: "listen on \(address): \(error)", cause: error)
        }
    }

    private func bind(
        host: String,
        isIPv6Only: Bool? = nil,
        on group: MultiThreadedEventLoopGroup
    ) async throws -> any Channel {
        let openConnections = ConnectionLimit(configuration.connectionLimit)
        // Channel handlers, not `NIOAsyncChannel`: a connection that is accepted during cancellation would be dropped
        // by the sequence of connections, which traps (apple/swift-nio#2637).
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
                    // The bootstrap then closes the channel.
                    guard openConnections.add(channel) else { throw TooManyConnections() }
                    try configure(connection: channel)
                }
            }
            .bind(host: host, port: Int(configuration.address.port))
            .get()
    }

    /// Sets up the pipeline and the deadline of an accepted connection. To be called on the channel's event loop.
    package func configure(connection channel: any Channel) throws {
        let deadline = channel.eventLoop.scheduleTask(in: TimeAmount(configuration.exchangeTimeLimit)) {
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in deadline.cancel() }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(RequestSizeLimit(bytes: configuration.requestSizeLimit))
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
        try pipeline.addHandler(ExchangeHandler(responder: responder, largeResponses: largeResponses))
    }
}

private struct TooManyConnections: Error {}
