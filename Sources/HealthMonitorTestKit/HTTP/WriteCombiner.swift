// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore

/// Combines the parts of a small response into one write, and so into one TLS record, as Go's servers do.
///
/// swift-nio writes the head, the body and the end of a response one by one. Each would be a TLS record of its own,
/// which costs a client two more system calls than a response of the API server.
final class WriteCombiner: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The maximum size of a TLS record (RFC 8446, 5.1).
    private static let limit = 1 << 14

    private var waiting: ByteBuffer?
    private var promise: EventLoopPromise<Void>?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var buffer = unwrapOutboundIn(data)
        if let waiting, waiting.readableBytes + buffer.readableBytes > Self.limit { writeWaiting(context) }
        if waiting == nil { waiting = buffer } else { waiting?.writeBuffer(&buffer) }
        self.promise.setOrCascade(to: promise)
    }

    func flush(context: ChannelHandlerContext) {
        writeWaiting(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        writeWaiting(context)
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        promise?.fail(ChannelError.ioOnClosedChannel)
        (waiting, promise) = (nil, nil)
    }

    private func writeWaiting(_ context: ChannelHandlerContext) {
        guard let waiting else { return }
        let promise = promise
        (self.waiting, self.promise) = (nil, nil)
        context.write(wrapOutboundOut(waiting), promise: promise)
    }
}
