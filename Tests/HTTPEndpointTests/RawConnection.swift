// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import NIOPosix
import Synchronization

/// A TCP connection on which a test sends any bytes.
struct RawConnection: Sendable {
    let channel: any Channel
    /// All received bytes, once the peer has closed the connection.
    let received: EventLoopFuture<String>

    func close() async throws {
        try await channel.close()
    }
}

func connect(host: String = "127.0.0.1", port: Int) async throws -> RawConnection {
    let group = MultiThreadedEventLoopGroup.singleton
    let received = group.next().makePromise(of: String.self)
    let channel = try await ClientBootstrap(group: group)
        .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(Collector(received))
            }
        }
        .connect(host: host, port: port).get()
    return RawConnection(channel: channel, received: received.futureResult)
}

/// Sends `text` and returns what is received until the connection ends, with or without an error.
func rawExchange(_ text: String, host: String = "127.0.0.1", port: Int) async throws -> String {
    let connection = try await connect(host: host, port: port)
    // The peer may close the connection before it has read everything.
    try? await connection.channel.writeAndFlush(ByteBuffer(string: text))
    return try await connection.received.get()
}

/// A client that has read the beginning of a response and reads nothing more.
struct StalledClient: Sendable {
    let channel: any Channel
    /// The first bytes of the response.
    let beginning: String

    func close() async throws {
        try await channel.close()
    }
}

/// Requests `path`. The small receive buffer makes the server keep what the client does not read.
func stall(_ path: String, port: Int) async throws -> StalledClient {
    let group = MultiThreadedEventLoopGroup.singleton
    let beginning = group.next().makePromise(of: String.self)
    let channel = try await ClientBootstrap(group: group)
        .channelOption(.autoRead, value: false)
        .channelOption(.socketOption(.so_rcvbuf), value: 16_384)
        .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(FirstRead(beginning))
            }
        }
        .connect(host: "127.0.0.1", port: port).get()
    try await channel.writeAndFlush(ByteBuffer(string: "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n"))
    channel.read()
    return StalledClient(channel: channel, beginning: try await beginning.futureResult.get())
}

struct RawResponse {
    var status: Substring
    /// By lower-case name.
    var headers: [String: String]
    var body: Substring
}

func exchange(_ request: String, port: Int) async throws -> RawResponse {
    let text = try await rawExchange(request, port: port)
    let end = text.firstRange(of: "\r\n\r\n")
    let lines = text[..<(end?.lowerBound ?? text.endIndex)].split(separator: "\r\n")
    let headers = lines.dropFirst().map { line in
        let colon = line.firstIndex(of: ":") ?? line.endIndex
        return (line[..<colon].lowercased(), String(line[colon...].dropFirst(2)))
    }
    return RawResponse(
        status: lines.first ?? "",
        headers: Dictionary(headers) { "\($0), \($1)" },
        body: end.map { text[$0.upperBound...] } ?? ""
    )
}

func get(_ path: String, port: Int) async throws -> RawResponse {
    try await exchange("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n", port: port)
}

/// Returns its results one after the other, then the last one again and again.
final class ResultSequence: Sendable {
    private let results: [String?]
    private let calls = Mutex(0)

    init(_ results: [String?]) {
        self.results = results
    }

    /// The number of calls of ``next()``.
    var count: Int { calls.withLock { $0 } }

    func next() -> String? {
        calls.withLock { calls in
            defer { calls += 1 }
            return results[min(calls, results.count - 1)]
        }
    }
}

private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<String>
    private var received = ByteBuffer()

    init(_ promise: EventLoopPromise<String>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.succeed(String(buffer: received))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

private final class FirstRead: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<String>

    init(_ promise: EventLoopPromise<String>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        promise.succeed(String(buffer: unwrapInboundIn(data)))
    }

    /// Changes nothing after a read.
    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ChannelError.eof)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
