// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOHTTP1

/// Rejects a request of more than a number of bytes.
///
/// It precedes the HTTP decoder, which limits the headers but not the URL.
final class RequestSizeLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var remaining: Int

    init(bytes: Int) {
        remaining = bytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        remaining -= unwrapInboundIn(data).readableBytes
        if remaining >= 0 {
            context.fireChannelRead(data)
        } else {
            // NIO's HTTPServerProtocolErrorHandler responds with 400, then ``ExchangeHandler`` closes the channel.
            context.fireErrorCaught(HTTPParserError.headerOverflow)
        }
    }
}
