// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import HTTPTransport

/// Requests of every fate leave nothing behind: not a handle of libcurl's, and not a file descriptor of the process.
///
/// In processes of their own, because the descriptors are everybody's.
@Suite(.timeLimit(.minutes(30))) struct LeakTests {
    @Test func `ten thousand requests leave nothing`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                // What is opened once and kept: the server's event loops.
                try await Requests.run(waves: 2, with: withPlainServer)
                let before = try openDescriptors()
                try await Requests.run(waves: 105, with: withPlainServer)
                try await until { try openDescriptors() <= before }
            }
        }
    }

    @Test func `requests over TLS leave nothing`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                try await Requests.run(waves: 2, with: withTLSServer)
                let before = try openDescriptors()
                try await Requests.run(waves: 5, with: withTLSServer)
                try await until { try openDescriptors() <= before }
            }
        }
    }
}

/// Many requests at once, again and again, to a server that answers, refuses, keeps silent, hangs up or is not there.
private struct Requests {
    enum Fate: CaseIterable {
        case read, refused, dropped, halfRead, cut, timedOut, withoutAServer, invalid
        case cancelledBeforehand, cancelledAtOnce, cancelledUnderWay, cancelledWhileReading

        /// A buffered response is there when all of it is.
        var deliveries: [HTTPRequest.Delivery] {
            switch self {
            case .dropped, .halfRead, .cancelledWhileReading: [.streamed]
            default: [.buffered, .streamed]
            }
        }
    }

    typealias Server = (
        @escaping TestHTTPServer.Handler, (HTTPClient, _ url: String) async throws -> Void
    ) async throws -> Void

    /// Each fate four times for each delivery.
    private static let wave = Fate.allCases.flatMap { fate in
        fate.deliveries.flatMap { delivery in
            Array(repeating: (fate: fate, delivery: delivery), count: 4)
        }
    }

    let client: HTTPClient
    let url: String
    /// A request that is to be cancelled is where it is to be cancelled.
    let arrived: AsyncStream<Void>.Continuation

    static func run(waves: Int, with withServer: Server) async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        try await withServer { request in
            switch request.path {
            case "/answer": return TestHTTPResponse(bytes: [UInt8](repeating: 1, count: 5000))
            case "/refuse": return TestHTTPResponse(status: 403, bytes: Array("no".utf8))
            case "/cut": throw CancellationError()
            case "/stream":
                return TestHTTPResponse(
                    body: .stream { writer in
                        try await writer.write([1, 2, 3])
                        await forever()
                    }
                )
            case "/arrive":
                arrived.yield()
                fallthrough
            default:
                await forever()
                return TestHTTPResponse()
            }
        } _: { client, url in
            let requests = Requests(client: client, url: url, arrived: arrived)
            var arrival = arrivals.makeAsyncIterator()
            for _ in 0..<waves {
                let wave = Self.wave.map { fate, delivery in (fate, Task { await requests.end(of: fate, delivery) }) }
                for (fate, request) in wave where fate == .cancelledAtOnce { request.cancel() }
                let late = wave.filter { $0.0 == .cancelledUnderWay || $0.0 == .cancelledWhileReading }
                for _ in late { _ = await arrival.next() }
                for (_, request) in late { request.cancel() }
                for (fate, request) in wave { await check(fate, request.value) }
                // What was dropped is given up when the loop's thread comes to it.
                await until { client.liveHandles == 1 }
            }
            await client.shutdown()
            #expect(client.liveHandles == 0)
        }
    }

    /// The number of bytes that were read, or what went wrong.
    private func end(of fate: Fate, _ delivery: HTTPRequest.Delivery) async -> Result<Int, HTTPError> {
        do throws(HTTPError) {
            switch fate {
            case .read: return .success(try await get("/answer", delivery).body.collect(upTo: 10_000).count)
            case .refused: return .success(try await get("/refuse", delivery).body.collect(upTo: 10_000).count)
            case .dropped: return .success(try await get("/stream", delivery).status)
            case .halfRead:
                var body = try await get("/stream", delivery).body.makeAsyncIterator()
                return .success(try await body.next()?.count ?? 0)
            case .cut: return .success(try await get("/cut", delivery).status)
            case .timedOut: return .success(try await get("/wait", delivery, total: .milliseconds(1)).status)
            case .withoutAServer:
                return .success(try await client.execute(HTTPRequest(url: "http://127.0.0.1:1/")).status)
            case .invalid: return .success(try await client.execute(HTTPRequest(url: "http://[")).status)
            case .cancelledBeforehand:
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                return .success(try await get("/wait", delivery).status)
            case .cancelledAtOnce: return .success(try await get("/wait", delivery).status)
            case .cancelledUnderWay: return .success(try await get("/arrive", delivery).status)
            case .cancelledWhileReading:
                var body = try await get("/stream", delivery).body.makeAsyncIterator()
                _ = try await body.next()
                arrived.yield()
                return .success(try await body.next()?.count ?? 0)
            }
        } catch {
            return .failure(error)
        }
    }

    private func get(
        _ path: String,
        _ delivery: HTTPRequest.Delivery,
        total: Duration? = nil
    ) async throws(HTTPError) -> HTTPResponse {
        try await client.execute(HTTPRequest(url: url + path, delivery: delivery, timeouts: .init(total: total)))
    }

    private static func check(_ fate: Fate, _ end: Result<Int, HTTPError>) {
        let expected: (bytes: Int?, code: HTTPError.Code?) =
            switch fate {
            case .read: (5000, nil)
            case .refused: (2, nil)
            case .dropped: (200, nil)
            case .halfRead: (3, nil)
            case .cut: (nil, .transport)
            case .timedOut: (nil, .timeout)
            case .withoutAServer: (nil, .connect)
            case .invalid: (nil, .invalidRequest)
            case .cancelledBeforehand, .cancelledAtOnce, .cancelledUnderWay, .cancelledWhileReading: (nil, .cancelled)
            }
        switch end {
        case .success(let bytes): #expect(bytes == expected.bytes, "\(fate): \(bytes)")
        case .failure(let error): #expect(error.code == expected.code, "\(fate): \(error)")
        }
    }
}

/// Returns when it is so; the suite's time limit is for when it never is. Without a sleep, whose timer would be an open
/// descriptor.
private func until(_ condition: () throws -> Bool) async rethrows {
    while try !condition() { await Task.yield() }
}

/// How many file descriptors this process has.
private func openDescriptors() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}
