// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy for tests on 127.0.0.1 that can stop forwarding without closing a connection. It does not see TLS. The
/// server must not send first.
package struct TestTCPProxy: Sendable {
    package let port: Int
    private let links: Links

    /// Runs a proxy to a port of 127.0.0.1 for as long as `body` runs. Its connections are closed when this returns.
    package static func withProxy<Result: Sendable>(
        to server: Int,
        _ body: (TestTCPProxy) async throws -> Result
    ) async throws -> Result {
        let links = Links()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { client in
                let link = links.add(client)
                return ClientBootstrap(group: client.eventLoop)
                    .channelInitializer { server in
                        server.eventLoop.makeCompletedFuture {
                            try server.pipeline.syncOperations.addHandler(Relay(to: client, of: link))
                        }
                    }
                    .connect(host: "127.0.0.1", port: server)
                    .flatMapThrowing { server in
                        links.add(server, to: link)
                        try client.pipeline.syncOperations.addHandler(Relay(to: server, of: link))
                    }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        let proxy = TestTCPProxy(port: listener.localAddress?.port ?? 0, links: links)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(proxy))
        } catch {
            result = .failure(error)
        }
        try? await listener.close()
        await links.close()
        return try result.get()
    }

    /// Forwards nothing more on the open connections, in either direction, and closes none of them: what arrives is
    /// acknowledged and discarded. New connections are forwarded.
    package func stopForwarding() { links.stopForwarding() }
}

/// Both connections of a client's connection to the server.
private final class Link: Sendable {
    let channels: Mutex<[any Channel]>
    let forwards = Atomic(true)

    init(_ client: any Channel) {
        channels = Mutex([client])
    }
}

private final class Links: Sendable {
    private let links = Mutex<[Link]>([])

    func add(_ client: any Channel) -> Link {
        let link = Link(client)
        links.withLock { $0.append(link) }
        return link
    }

    func add(_ server: any Channel, to link: Link) {
        link.channels.withLock { $0.append(server) }
    }

    func stopForwarding() {
        for link in links.withLock({ $0 }) { link.forwards.store(false, ordering: .relaxed) }
    }

    func close() async {
        for link in links.withLock({ $0 }) {
            for channel in link.channels.withLock({ $0 }) { try? await channel.close() }
        }
    }
}

/// Forwards what a connection receives to the other connection of its link.
private final class Relay: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let link: Link

    init(to other: any Channel, of link: Link) {
        self.other = other
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard link.forwards.load(ordering: .relaxed) else { return }
        other.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if link.forwards.load(ordering: .relaxed) { other.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
