// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOHTTP1

/// One connection: one request, one response, the end.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let responder: Responder
    private var request: HTTPRequestHead?
    private var hasResponded = false

    init(responder: Responder) {
        self.responder = responder
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            request = head
        case .body:
            break
        case .end:
            // What else the client sends is ignored: the response says that the connection ends with it.
            guard let request, !hasResponded else { return }
            hasResponded = true
            let channel = context.channel
            let response = responder.response(to: request)
            context.write(wrapOutboundOut(.head(response.head)), promise: nil)
            if request.method != .HEAD {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: response.body)))), promise: nil)
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Refuses a connection that has sent more bytes than a request may have.
///
/// It stands before the HTTP decoder, which bounds the headers but not the length of the URL.
final class RequestSizeLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var remaining: Int

    init(bytes: Int) {
        remaining = bytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        remaining -= unwrapInboundIn(data).readableBytes
        if remaining >= 0 {
            context.fireChannelRead(data)
        } else {
            // Answered with 400 by the pipeline's handler for protocol errors, then closed by the exchange's.
            context.fireErrorCaught(HTTPParserError.headerOverflow)
        }
    }
}
