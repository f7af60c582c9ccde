// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOHTTP1

/// Serves one request on a connection and closes it.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let responder: Responder
    private let largeResponses: ConnectionLimit
    private var request: HTTPRequestHead?
    private var hasResponded = false

    init(responder: Responder, largeResponses: ConnectionLimit) {
        self.responder = responder
        self.largeResponses = largeResponses
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            request = head
        case .body:
            break
        case .end:
            // Further requests are ignored: the response has `Connection: close`.
            guard let request, !hasResponded else { return }
            hasResponded = true
            let channel = context.channel
            let response = responder.response(to: request) { [largeResponses] in largeResponses.add(channel) }
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
