// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Synchronization
import Testing

@testable import GRPCTransport

@Suite(.timeLimit(.minutes(50))) struct GRPCChannelTests {
    @Test func `a channel reconnects to a restarted server`() async throws {
        let path = temporarySocket()
        let channel = try GRPCChannel(target: path)
        for generation: UInt8 in 0..<3 {
            let server = try GRPCServer(address: path) { _, _ in .success([generation]) }
            await channel.waitUntil(.ready)
            #expect(try await channel.unary("/a/B", request: [], timeout: ample) == [generation])
            await server.shutdown()
            await #expect(throws: GRPCError.self) {
                try await channel.unary("/a/B", request: [], timeout: ample)
            }
        }
        await channel.shutdown()
    }

    @Test func `the state of the connection is reported`() async throws {
        let path = temporarySocket()
        let channel = try GRPCChannel(target: path)
        #expect(channel.connectivityState(tryToConnect: false) == .idle)
        await channel.waitUntil(.transientFailure)
        let server = try GRPCServer(address: path, handler: echo)
        await channel.waitUntil(.ready)
        await server.shutdown()
        await channel.waitUntil(.idle)
        await channel.shutdown()
        #expect(channel.connectivityState(tryToConnect: true) == .shutdown)
        let state = await channel.waitForConnectivityChange(from: .ready, timeout: ample)
        #expect(state == .shutdown)
    }

    @Test func `a connection that breaks and is open again at once has changed`() async throws {
        let path = temporarySocket()
        let channel = try GRPCChannel(target: path)
        var server = try GRPCServer(address: path, handler: echo)
        await channel.waitUntil(.ready)
        let hasChanged = Mutex<Bool?>(nil)
        let wait = Task {
            let result = await channel.changesConnectivity(from: .ready, timeout: ample)
            hasChanged.withLock { $0 = result }
        }
        // The task may begin between two of them.
        while hasChanged.withLock({ $0 }) == nil {
            await server.shutdown()
            server = try GRPCServer(address: path, handler: echo)
            await channel.waitUntil(.ready)
        }
        await wait.value
        #expect(hasChanged.withLock { $0 } == true)
        await server.shutdown()
        await channel.shutdown()
        #expect(await channel.changesConnectivity(from: .ready, timeout: ample))
    }

    @Test func `a back-off shorter than an attempt to connect does not end the attempt`() async throws {
        try await withSilentListener { path in
            var configuration = GRPCChannel.Configuration()
            configuration.initialReconnectBackoff = .milliseconds(100)
            configuration.maximumReconnectBackoff = .milliseconds(100)
            let began = ContinuousClock.now
            let channel = try GRPCChannel(target: path, configuration: configuration)
            // The state would change if the attempt ended with the back-off. It ends after 20 seconds, which pass on a machine
            // that is stopped for so long; after a failed attempt, gRPC core does not return to .connecting.
            var state = channel.connectivityState(tryToConnect: true)
            while state == .idle { state = await channel.waitForConnectivityChange(from: .idle, timeout: ample) }
            if state == .connecting {
                state = await channel.waitForConnectivityChange(from: .connecting, timeout: .milliseconds(500))
            }
            #expect(state == .connecting || ContinuousClock.now - began > .seconds(15))
            await channel.shutdown()
        }
    }

    @Test func `a wait for a state change ends at the timeout`() async throws {
        let channel = try GRPCChannel(target: temporarySocket())
        let state = await channel.waitForConnectivityChange(from: .idle, timeout: .milliseconds(10))
        #expect(state == .idle)
        #expect(await !channel.changesConnectivity(from: .idle, timeout: .milliseconds(10)))
        await channel.shutdown()
    }

    @Test func `a wait for a state change ends on cancellation and on shutdown`() async throws {
        let channel = try GRPCChannel(target: temporarySocket())
        let cancelled = Task { await channel.waitForConnectivityChange(from: .idle, timeout: ample) }
        cancelled.cancel()
        #expect(await cancelled.value == .idle)

        let shutDown = Task { await channel.waitForConnectivityChange(from: .idle, timeout: ample) }
        await channel.shutdown()
        #expect(await shutDown.value == .shutdown)
    }

    @Test func `shutdown ends the calls in flight`() async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        try await withServer { _, _ in
            arrived.yield()
            await forever()
            return .success([])
        } _: { channel, _ in
            let calls = (0..<10).map { _ in Task { try await channel.unary("/a/B", request: [], timeout: ample) } }
            var count = 0
            for await _ in arrivals {
                count += 1
                if count == calls.count { break }
            }
            await channel.shutdown()
            for call in calls {
                let result = await call.result
                let error = #expect(throws: GRPCError.self) { try result.get() }
                #expect(error?.status.code == .cancelled)
            }
        }
    }

    @Test func `calls after the shutdown fail at once`() async throws {
        let channel = try GRPCChannel(target: temporarySocket())
        await channel.shutdown()
        await channel.shutdown()
        let error = await #expect(throws: GRPCError.self) {
            try await channel.unary("/a/B", request: [], timeout: ample)
        }
        #expect(error?.status.code == .cancelled)
    }

    @Test func `a server that shuts down ends its calls`() async throws {
        let path = temporarySocket()
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let server = try GRPCServer(address: path) { _, _ in
            arrived.yield()
            await forever()
            return .success([])
        }
        let channel = try GRPCChannel(target: path)
        let call = Task { try await channel.unary("/a/B", request: [], timeout: ample) }
        for await _ in arrivals { break }
        await server.shutdown()
        await server.shutdown()
        let result = await call.result
        #expect(throws: GRPCError.self) { try result.get() }
        await channel.shutdown()
    }

    @Test func `a channel is destroyed with its last reference`() async throws {
        try await withServer(echo) { _, path in
            for _ in 0..<20 {
                let channel = try GRPCChannel(target: path)
                _ = try await channel.unary("/a/B", request: [], timeout: ample)
                let queue = channel.queue
                _ = consume channel
                // Returns only when the channel was destroyed, which alone shuts the queue down.
                await queue.ended()
            }
        }
    }

    @Test(arguments: ["", "unix:", "unix://", "unix://csi.sock", "/" + String(repeating: "a", count: 107)])
    func `an address that no socket can have is refused, and the message names it`(address: String) {
        let error = #expect(throws: GRPCError.self) { try GRPCChannel(target: address) }
        #expect(error?.status.code == .invalidArgument)
        #expect(error?.status.message.contains(address) == true || address.isEmpty)
    }

    @Test func `a server that cannot listen names its address`() {
        let error = #expect(throws: GRPCError.self) {
            try GRPCServer(address: "/nonexistent/directory/csi.sock") { _, _ in .success([]) }
        }
        #expect(error?.status.message.contains("/nonexistent/directory/csi.sock") == true)
    }

    @Test(
        arguments: [
            ("/run/csi/socket", "unix:///run/csi/socket", true),
            ("unix:///run/csi/socket", "unix:///run/csi/socket", true),
            ("unix:relative.sock", "unix:relative.sock", true),
            ("127.0.0.1:9000", "127.0.0.1:9000", false),
        ]
    )
    func `an address of any common form becomes a target`(address: String, uri: String, isUnixSocket: Bool) throws {
        let target = try GRPCTarget(address)
        #expect(target.uri == uri)
        #expect(target.isUnixSocket == isUnixSocket)
    }

    @Test func `a status code is described by the name of grpc-go`() {
        #expect(GRPCStatus.Code.ok.description == "OK")
        #expect(GRPCStatus.Code.cancelled.description == "Canceled")
        #expect(GRPCStatus.Code.deadlineExceeded.description == "DeadlineExceeded")
        #expect(GRPCStatus.Code(rawValue: 99).description == "Code(99)")
    }
}
