// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Metrics
import NIOCore
import NIOEmbedded

/// The input: the lengths of the pieces, and a client's bytes, which are sent in these pieces.
///
/// A connection gets at most one response, with the required headers and a body of their length, and is closed after it
/// or after the time limit.
enum EndpointRequests {
    private static let timeLimit = TimeAmount.seconds(10)
    private static let sizeLimit = 1024
    private static let statuses: Set = [200, 400, 404, 405, 500, 503]

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        let pieces = input.pieces()
        let loop = EmbeddedEventLoop()
        let channel = EmbeddedChannel(loop: loop)
        defer {
            _ = try? channel.finish()
            // Handlers leave the pipeline in a later turn.
            loop.run()
        }
        var response: [UInt8] = []
        do {
            try channel.pipeline.syncOperations.addHandler(Socket())
            try endpoint.configure(connection: channel)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            for piece in pieces where channel.isActive {
                // Errors of the handlers are expected.
                _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
                while let part = try channel.readOutbound(as: ByteBuffer.self) {
                    response += part.readableBytesView
                }
            }
        } catch {
            throw InvariantViolation(message: "the connection broke: \(error)")
        }
        if response.isEmpty {
            loop.advanceTime(by: timeLimit)
        } else {
            try check(response, to: pieces.flatMap(\.self))
        }
        try require(!channel.isActive, "the connection stays open")
    }

    private static var endpoint: DiagnosticsEndpoint {
        let metrics = MetricsRegistry()
        metrics.gauge(MetricDescription(name: "g", help: "G.")).set(1)
        let checks = HealthChecks()
        // The corpus has these paths.
        checks.register(path: "/well") { nil }
        checks.register(path: "/ill") { "failed" }
        checks.register(path: "/odd", severity: .information) { "information" }
        checks.register(path: "/readyz") {
            [
                .init(name: "a", note: "information", failure: nil),
                .init(name: "b", failure: .init(age: .seconds(1), reason: "failed")),
            ]
        }
        let pages = Pages()
        pages.register(path: "/", .html) { "<p>page</p>" }
        return DiagnosticsEndpoint(
            configuration: DiagnosticsEndpoint.Configuration(
                address: ListenAddress(host: "127.0.0.1", port: 0),
                metricsPath: "/m",
                requestSizeLimit: sizeLimit,
                exchangeTimeLimit: .nanoseconds(timeLimit.nanoseconds)
            ),
            metrics: metrics,
            healthChecks: checks,
            pages: pages
        )
    }

    private static func check(_ response: [UInt8], to request: [UInt8]) throws(InvariantViolation) {
        let text = String(decoding: response, as: UTF8.self)
        guard let response = HTTPResponse(response) else {
            throw InvariantViolation(message: "not an HTTP response: \(text)")
        }
        try require(statuses.contains(response.status), "an unexpected status: \(text)")
        try require(response.headers["connection"] == "close", "the connection is not closed: \(text)")
        guard let length = response.headers["content-length"].flatMap(Int.init) else {
            throw InvariantViolation(message: "a body without a length: \(text)")
        }
        // A request is served only when it ends within the limit.
        let served = request.prefix(sizeLimit)
        let isWhole = [[0x0A, 0x0A], [0x0A, 0x0D, 0x0A]].contains { served.firstRange(of: $0) != nil }
        try require(isWhole || response.status == 400, "half a request is served: \(text)")
        // Only the response to HEAD has no body, but its length.
        let isHead = request.starts(with: "HEAD ".utf8) || request.contains(UInt8(ascii: "\n"))
        try require(
            response.body.count == length || response.body.isEmpty && isHead,
            "the body has another length than the header says: \(text)"
        )
    }
}

/// Fails writes after the channel is closed, which an embedded channel does not do.
private final class Socket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private var isClosed = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isClosed {
            promise?.fail(ChannelError.ioOnClosedChannel)
        } else {
            context.write(data, promise: promise)
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        isClosed = true
        context.close(mode: mode, promise: promise)
    }
}

/// A strict parser of responses: every line ends with CR LF, no header is repeated or folded.
private struct HTTPResponse {
    var status: Int
    /// By lower-case name.
    var headers: [String: String] = [:]
    var body: [UInt8]

    init?(_ bytes: [UInt8]) {
        var lines: [String] = []
        var rest = bytes[...]
        while true {
            guard let end = rest.firstIndex(of: 0x0A), end > rest.startIndex, rest[end - 1] == 0x0D else { return nil }
            let line = rest[rest.startIndex..<end - 1]
            rest = rest[(end + 1)...]
            if line.isEmpty { break }
            guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
            lines.append(String(decoding: line, as: UTF8.self))
        }
        guard let statusLine = lines.first?.split(separator: " ", maxSplits: 2), statusLine.count == 3,
            statusLine[0] == "HTTP/1.1" || statusLine[0] == "HTTP/1.0", statusLine[1].count == 3,
            let status = Int(statusLine[1])
        else { return nil }
        self.status = status
        body = Array(rest)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            guard headers.updateValue(String(value), forKey: line[..<colon].lowercased()) == nil else { return nil }
        }
    }
}
