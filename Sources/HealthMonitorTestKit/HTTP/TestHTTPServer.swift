// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL

/// An HTTP server for tests, on 127.0.0.1: plain HTTP/1.1, or TLS with HTTP/2 and HTTP/1.1 as the client chooses.
public struct TestHTTPServer: Sendable {
    /// Answers a request; to throw cuts the connection, or the stream of an HTTP/2 connection.
    ///
    /// Each request has a task of its own, which is cancelled when the client is gone or the server ends.
    public typealias Handler = @Sendable (TestHTTPRequest) async throws -> TestHTTPResponse

    /// How a server listens.
    public struct Configuration: Sendable {
        /// The server's certificate; nil: plain HTTP.
        public var identity: TestIdentity?
        /// When set, clients must show a certificate of this authority.
        public var clientAuthority: TestCertificateAuthority?
        /// 0: any free one.
        public var port: Int

        /// By default plain HTTP on a free port.
        public init(
            identity: TestIdentity? = nil,
            clientAuthority: TestCertificateAuthority? = nil,
            port: Int = 0
        ) {
            self.identity = identity
            self.clientAuthority = clientAuthority
            self.port = port
        }
    }

    /// The port that it listens on.
    public let port: Int
    /// `https://127.0.0.1:PORT`, or `http://...`
    public let url: String

    /// Runs a server for as long as `body` runs. Requests under way are cancelled with it, and have ended when this
    /// returns.
    public static func withServer<Result: Sendable>(
        _ configuration: Configuration = Configuration(),
        handler: @escaping Handler,
        _ body: (TestHTTPServer) async throws -> Result
    ) async throws -> Result {
        let connections = OpenConnections()
        let context = try configuration.identity.map {
            try sslContext($0, clientAuthority: configuration.clientAuthority)
        }
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                connections.add(channel)
                return configure(channel, context, connections, handler)
            }
            .bind(host: "127.0.0.1", port: configuration.port)
            .get()
        let port = listener.localAddress?.port ?? 0
        let scheme = configuration.identity == nil ? "http" : "https"
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(TestHTTPServer(port: port, url: "\(scheme)://127.0.0.1:\(port)")))
        } catch {
            result = .failure(error)
        }
        try? await listener.close()
        await connections.closeAll()
        return try result.get()
    }

    private static func sslContext(
        _ identity: TestIdentity,
        clientAuthority: TestCertificateAuthority?
    ) throws -> NIOSSLContext {
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(identity.certificatePEM.utf8))
                .map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem))
        )
        tls.applicationProtocols = ["h2", "http/1.1"]
        if let clientAuthority {
            tls.certificateVerification = .noHostnameVerification
            tls.trustRoots = .certificates(
                try NIOSSLCertificate.fromPEMBytes(Array(clientAuthority.certificatePEM.utf8))
            )
        }
        return try NIOSSLContext(configuration: tls)
    }

    private static func configure(
        _ channel: any Channel,
        _ context: NIOSSLContext?,
        _ connections: OpenConnections,
        _ handler: @escaping Handler
    ) -> EventLoopFuture<Void> {
        let configureHTTP1: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                    withPipeliningAssistance: false,
                    withErrorHandling: false
                )
                try channel.pipeline.syncOperations.addHandler(
                    ExchangeHandler(isHTTP2: false, connections: connections, handler: handler)
                )
            }
        }
        guard let context else { return configureHTTP1(channel) }
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
        }.flatMap {
            channel.configureHTTP2SecureUpgrade { channel in
                // A test's clients are no attackers, and libcurl sends a control frame with every request.
                var configuration = NIOHTTP2Handler.ConnectionConfiguration()
                configuration.controlFrameRateLimit.maximumCount = .max
                var streamConfiguration = NIOHTTP2Handler.StreamConfiguration()
                streamConfiguration.streamResetFrameRateLimit.maximumCount = .max
                return channel.configureHTTP2Pipeline(
                    mode: .server,
                    connectionConfiguration: configuration,
                    streamConfiguration: streamConfiguration
                ) { stream in
                    stream.eventLoop.makeCompletedFuture {
                        try stream.pipeline.syncOperations.addHandlers(
                            HTTP2FramePayloadToHTTP1ServerCodec(),
                            ExchangeHandler(isHTTP2: true, connections: connections, handler: handler)
                        )
                    }
                }.map { _ in }
            } http1ChannelConfigurator: { channel in
                configureHTTP1(channel)
            }
        }
    }
}
