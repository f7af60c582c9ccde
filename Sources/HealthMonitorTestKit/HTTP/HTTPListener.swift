// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization

/// The listening socket of a test's HTTP server, and the pipelines of its connections.
final class HTTPListener: Sendable {
    private struct State {
        /// nil while it does not listen.
        var channel: (any Channel)?
        /// 0 until it listens for the first time on a free port; then that port.
        var port: Int
        /// nil for plain HTTP.
        var context: NIOSSLContext?
        var breaksHandshakes = false
    }

    private let connections = TestHTTPConnections()
    private let configuration: TestHTTPServer.Configuration
    private let handler: TestHTTPServer.Handler
    private let state: Mutex<State>

    /// Makes a listener, which listens after ``open()``.
    init(_ configuration: TestHTTPServer.Configuration, handler: @escaping TestHTTPServer.Handler) throws {
        self.configuration = configuration
        self.handler = handler
        let context = try configuration.identity.map { try Self.sslContext($0, configuration) }
        state = Mutex(State(port: configuration.port, context: context))
    }

    /// Listens, and returns the port.
    func open() async throws -> Int {
        let port = state.withLock { $0.port }
        for _ in 0..<(port == 0 ? 0 : 1000) {
            do {
                return try await listen(on: port)
            } catch let error as IOError where error.errnoCode == EADDRINUSE {
                // A process that is being started has copies of our sockets until its exec.
                await pollingPause()
            }
        }
        return try await listen(on: port)
    }

    private func listen(on port: Int) async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                self.connections.add(channel)
                return self.configure(channel)
            }
            .bind(host: "127.0.0.1", port: port)
            .get()
        let port = channel.localAddress?.port ?? 0
        state.withLock { ($0.channel, $0.port) = (channel, port) }
        return port
    }

    /// How many connections were accepted so far.
    var acceptedConnections: Int { connections.accepted }

    /// Stops listening and cuts the open connections.
    func close() async {
        let channel = state.withLock { state in
            defer { state.channel = nil }
            return state.channel
        }
        try? await channel?.close()
        await connections.cutAll()
    }

    /// Also waits for the exchanges under way.
    func closeForGood() async {
        await close()
        await connections.closeAll()
    }

    func cutConnections() async {
        await connections.cutAll()
    }

    /// Sets the certificate for new connections.
    func present(_ identity: TestIdentity) throws {
        let context = try Self.sslContext(identity, configuration)
        state.withLock { $0.context = context }
    }

    var breaksHandshakes: Bool {
        get { state.withLock { $0.breaksHandshakes } }
        set { state.withLock { $0.breaksHandshakes = newValue } }
    }

    private static func sslContext(
        _ identity: TestIdentity,
        _ configuration: TestHTTPServer.Configuration
    ) throws -> NIOSSLContext {
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(identity.certificatePEM.utf8))
                .map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem))
        )
        tls.applicationProtocols = ["h2", "http/1.1"]
        if configuration.isOutdated {
            tls.minimumTLSVersion = .tlsv1
            tls.maximumTLSVersion = .tlsv11
        }
        if let clientAuthority = configuration.clientAuthority {
            tls.certificateVerification = .noHostnameVerification
            tls.trustRoots = .certificates(
                try NIOSSLCertificate.fromPEMBytes(Array(clientAuthority.certificatePEM.utf8))
            )
        }
        return try NIOSSLContext(configuration: tls)
    }
}

// MARK: - Pipelines

extension HTTPListener {
    private func configure(_ channel: any Channel) -> EventLoopFuture<Void> {
        let (context, breaksHandshakes) = state.withLock { ($0.context, $0.breaksHandshakes) }
        if breaksHandshakes {
            return channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(HandshakeBreaker())
            }
        }
        guard let context else { return configureHTTP1(channel) }
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
        }.flatMap {
            channel.configureHTTP2SecureUpgrade { channel in
                self.configureHTTP2(channel)
            } http1ChannelConfigurator: { channel in
                self.configureHTTP1(channel)
            }
        }
    }

    private func configureHTTP1(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(WriteCombiner())
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                withPipeliningAssistance: false,
                withErrorHandling: false
            )
            try channel.pipeline.syncOperations.addHandler(
                TestHTTPChannelHandler(isHTTP2: false, connections: connections, handler: handler)
            )
        }
    }

    private func configureHTTP2(_ channel: any Channel) -> EventLoopFuture<Void> {
        // Tests need no protection against floods, and libcurl sends a control frame with every request. A short window
        // lifts the limits; a high count would not do, because NIO allocates memory for it, and Int.max overflows its
        // sum.
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.controlFrameRateLimit.windowLength = .nanoseconds(1)
        var streamConfiguration = NIOHTTP2Handler.StreamConfiguration()
        streamConfiguration.streamResetFrameRateLimit.windowLength = .nanoseconds(1)
        return channel.configureHTTP2Pipeline(
            mode: .server,
            connectionConfiguration: configuration,
            streamConfiguration: streamConfiguration
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandlers(
                    HTTP2FramePayloadToHTTP1ServerCodec(),
                    TestHTTPChannelHandler(isHTTP2: true, connections: self.connections, handler: self.handler)
                )
            }
        }.map { _ in }
    }
}

/// Closes the connection at the first bytes of a TLS handshake.
private final class HandshakeBreaker: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.close(promise: nil)
    }
}
