// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL
import SwiftASN1
import X509

/// Collects a request, runs the test's handler in a task and writes its response; the last handler of a channel.
final class TestHTTPChannelHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let isHTTP2: Bool
    private let connections: TestHTTPConnections
    private let handler: TestHTTPServer.Handler
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var task: Task<Void, Never>?

    init(isHTTP2: Bool, connections: TestHTTPConnections, handler: @escaping TestHTTPServer.Handler) {
        self.isHTTP2 = isHTTP2
        self.connections = connections
        self.handler = handler
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let buffer):
            guard body.count + buffer.readableBytes <= 16 << 20 else {
                // Parts that were read already still arrive, the request's end too.
                head = nil
                body = []
                return context.close(promise: nil)
            }
            body += buffer.readableBytesView
        case .end:
            guard let head else { return }
            let channel = context.channel
            let connection = isHTTP2 ? channel.parent : channel
            let request = TestHTTPRequest(
                head,
                body: body,
                isHTTP2: isHTTP2,
                peerCommonName: connection?.peerCommonName
            )
            let handler = handler
            task = connections.run {
                do {
                    let response = try await handler(request)
                    try await channel.write(response, to: head, connection: connection ?? channel)
                } catch {
                    try? await channel.close()
                }
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        task?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

extension TestHTTPRequest {
    fileprivate init(_ head: HTTPRequestHead, body: [UInt8], isHTTP2: Bool, peerCommonName: String?) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count > 1 ? parts[1] : ""
        self.init(
            method: head.method.rawValue,
            path: parts.first.map(String.init) ?? "",
            query: query.split(separator: "&").map { pair in
                let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (Self.decode(sides[0]), sides.count > 1 ? Self.decode(sides[1]) : "")
            },
            headers: head.headers.map { ($0.name, $0.value) },
            body: body,
            isHTTP2: isHTTP2,
            peerCommonName: peerCommonName
        )
    }

    /// Decodes `+` and `%XX`.
    private static func decode(_ text: Substring) -> String {
        text.replacing("+", with: " ").removingPercentEncoding ?? String(text)
    }
}

extension Channel {
    /// The common name of the client's certificate. Must be called on the event loop.
    fileprivate var peerCommonName: String? {
        guard
            let shown = try? pipeline.syncOperations.nioSSL_peerCertificate(),
            let certificate = try? Certificate(derEncoded: shown.toDERBytes())
        else { return nil }
        return certificate.subject.lazy.joined()
            .first { $0.type == .RDNAttributeType.commonName }
            .flatMap { String($0.value) }
    }

    /// Writes a response; suspends until the socket has taken each part.
    ///
    /// - Parameter connection: this channel, or its parent when this channel is an HTTP/2 stream.
    fileprivate func write(
        _ response: TestHTTPResponse,
        to request: HTTPRequestHead,
        connection: any Channel
    ) async throws {
        var headers = HTTPHeaders(response.headers.map { ($0.key, $0.value) })
        let closes = headers[canonicalForm: "Connection"].contains("close")
        if connection !== self { headers.remove(name: "Connection") }
        if case .bytes(let bytes) = response.body, response.status != 204 {
            headers.replaceOrAdd(name: "Content-Length", value: "\(bytes.count)")
        }
        let head = HTTPResponseHead(
            version: request.version,
            status: HTTPResponseStatus(statusCode: response.status),
            headers: headers
        )
        switch response.body {
        case .bytes(let bytes):
            // Flushed with the end: a client that has the whole body may send its next request at once, whose response
            // must not come in between.
            write(HTTPServerResponsePart.head(head), promise: nil)
            if !bytes.isEmpty, request.method != .HEAD, response.status != 204 {
                write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))), promise: nil)
            }
        case .stream(let produce):
            try await writeAndFlush(HTTPServerResponsePart.head(head))
            try await produce(
                TestHTTPBodyWriter { bytes in
                    try await self.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))))
                }
            )
        }
        try await writeAndFlush(HTTPServerResponsePart.end(nil))
        if closes, connection !== self {
            // RFC 9113, 6.8: open streams continue, new ones need another connection.
            let goAway = HTTP2Frame.FramePayload.goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil)
            try? await connection.writeAndFlush(HTTP2Frame(streamID: .rootStream, payload: goAway))
        } else if closes || !request.isKeepAlive {
            try await close()
        }
    }
}
