// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Synchronization
import Testing

/// Requests with every outcome leave nothing behind: no memory, and no file descriptor of the process.
///
/// In a process of its own each, because memory and descriptors are those of the whole process.
@Suite(.timeLimit(.minutes(50))) struct LeakTests {
    @Test func `ten thousand requests leave nothing behind`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                // Opens what the process keeps: the event loops of the server.
                try await Requests.run(waves: 20, with: withPlainServer)
                let descriptors = try ProcessResources.openDescriptors()
                let heapBytes = ProcessResources.heapBytes
                try await Requests.run(waves: 105, with: withPlainServer)
                try await until { try ProcessResources.openDescriptors() <= descriptors }
                // A handle of libcurl has more than 5 KiB: with one left for each request these would be 50 MiB.
                #expect(ProcessResources.heapBytes - heapBytes < 2 << 20)
            }
        }
    }

    @Test func `requests over TLS leave nothing behind`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                try await Requests.run(waves: 2, with: withTLSServer)
                let descriptors = try ProcessResources.openDescriptors()
                try await Requests.run(waves: 5, with: withTLSServer)
                try await until { try ProcessResources.openDescriptors() <= descriptors }
            }
        }
    }
}

/// Many requests at once, again and again, to a server that responds, refuses, is silent, hangs up or does not exist.
private struct Requests {
    /// What becomes of a request.
    enum Outcome: CaseIterable {
        case read, refused, dropped, halfRead, cut, timedOut, withoutServer, invalid
        case cancelledBeforeStart, cancelledAtOnce, cancelledUnderWay, cancelledWhileReading

        /// Those with which it can happen: a buffered response has arrived completely.
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

    /// Each outcome four times with each delivery.
    private static let wave = Outcome.allCases.flatMap { outcome in
        outcome.deliveries.flatMap { delivery in
            Array(repeating: (outcome: outcome, delivery: delivery), count: 4)
        }
    }

    let client: HTTPClient
    let url: String
    /// A request that is to be cancelled has come to the point where it is cancelled.
    let arrived: AsyncStream<Void>.Continuation

    static func run(waves: Int, with withServer: Server) async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        // Requests and bodies that the server is busy with.
        let underWay = Atomic(0)
        try await withServer { request in
            underWay.add(1, ordering: .relaxed)
            defer { underWay.subtract(1, ordering: .relaxed) }
            switch request.path {
            case "/read": return TestHTTPResponse(bytes: [UInt8](repeating: 1, count: 5000))
            case "/refuse": return TestHTTPResponse(status: 403, bytes: Array("no".utf8))
            case "/cut": throw CancellationError()
            case "/stream":
                return TestHTTPResponse(
                    body: .stream { writer in
                        underWay.add(1, ordering: .relaxed)
                        defer { underWay.subtract(1, ordering: .relaxed) }
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
                let wave = Self.wave.map { outcome, delivery in
                    (outcome, Task { await requests.result(outcome, delivery) })
                }
                for (outcome, request) in wave where outcome == .cancelledAtOnce { request.cancel() }
                let late = wave.filter { $0.0 == .cancelledUnderWay || $0.0 == .cancelledWhileReading }
                for _ in late { _ = await arrival.next() }
                for (_, request) in late { request.cancel() }
                for (outcome, request) in wave { await check(outcome, request.value) }
                // The server sees the end of what was dropped or cancelled.
                await until { underWay.load(ordering: .relaxed) == 0 }
            }
        }
    }

    /// The number of bytes that were read, or the status of a body that was not.
    private func result(_ outcome: Outcome, _ delivery: HTTPRequest.Delivery) async -> Result<Int, HTTPError> {
        do throws(HTTPError) {
            switch outcome {
            case .read: return .success(try await get("/read", delivery).body.collect(upTo: 10_000).count)
            case .refused: return .success(try await get("/refuse", delivery).body.collect(upTo: 10_000).count)
            case .dropped: return .success(try await get("/stream", delivery).status)
            case .halfRead:
                var body = try await get("/stream", delivery).body.makeAsyncIterator()
                return .success(try await body.next()?.count ?? 0)
            case .cut: return .success(try await get("/cut", delivery).status)
            case .timedOut: return .success(try await get("/wait", delivery, total: .milliseconds(1)).status)
            case .withoutServer:
                return .success(try await client.execute(HTTPRequest(url: "http://127.0.0.1:1/")).status)
            case .invalid: return .success(try await client.execute(HTTPRequest(url: "http://[")).status)
            case .cancelledBeforeStart:
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

    private static func check(_ outcome: Outcome, _ result: Result<Int, HTTPError>) {
        let expected: (bytes: Int?, codes: Set<HTTPError.Code>) =
            switch outcome {
            case .read: (5000, [])
            case .refused: (2, [])
            case .dropped: (200, [])
            case .halfRead: (3, [])
            case .cut: (nil, [.transport])
            // Before or after the request was sent.
            case .timedOut: (nil, [.connect, .timeout])
            case .withoutServer: (nil, [.connect])
            case .invalid: (nil, [.invalidRequest])
            case .cancelledBeforeStart, .cancelledAtOnce, .cancelledUnderWay, .cancelledWhileReading:
                (nil, [.cancelled])
            }
        switch result {
        case .success(let bytes): #expect(bytes == expected.bytes, "\(outcome): \(bytes)")
        case .failure(let error): #expect(expected.codes.contains(error.code), "\(outcome): \(error)")
        }
    }
}

/// Returns when the condition holds; the suite's time limit fails a test in which it never does. Without a sleep, whose
/// timer would be an open descriptor.
private func until(_ condition: () throws -> Bool) async rethrows {
    while try !condition() { await Task.yield() }
}
