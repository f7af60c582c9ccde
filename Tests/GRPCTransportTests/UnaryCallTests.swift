// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import GRPCTransport

@Suite(.timeLimit(.minutes(50))) struct UnaryCallTests {
    @Test func `a call sends its method and request, and returns the response`() async throws {
        let response = try await withServer { method, request in
            .success(Array(method.utf8) + request)
        } _: { channel, _ in
            try await channel.unary("/csi.v1.Identity/Probe", request: [1, 2, 3], timeout: ample)
        }
        #expect(response == Array("/csi.v1.Identity/Probe".utf8) + [1, 2, 3])
    }

    @Test func `an empty request and an empty response are messages`() async throws {
        try await withServer(echo) { channel, _ in
            let response = try await channel.unary("/a/B", request: [], timeout: ample)
            #expect(response.isEmpty)
        }
    }

    @Test(arguments: [GRPCStatus.Code.notFound, .unimplemented, .aborted, .internal])
    func `a status other than OK is thrown with its message`(code: GRPCStatus.Code) async throws {
        let expected = GRPCError(code: code, message: "volume \u{1FAB5} is not here")
        try await withServer { _, _ in
            .failure(expected)
        } _: { channel, _ in
            await #expect(throws: expected) {
                try await channel.unary("/a/B", request: [], timeout: ample)
            }
        }
    }

    @Test func `a status message of a megabyte is received whole`() async throws {
        let expected = GRPCError(code: .notFound, message: String(repeating: "line of a log\n", count: 80_000))
        try await withServer { _, _ in
            .failure(expected)
        } _: { channel, _ in
            await #expect(throws: expected) {
                try await channel.unary("/a/B", request: [], timeout: ample)
            }
        }
    }

    @Test func `the deadline ends a call`() async throws {
        try await withServer(silence) { channel, _ in
            let error = await #expect(throws: GRPCError.self) {
                try await channel.unary("/a/B", request: [], timeout: .milliseconds(20))
            }
            #expect(error?.status.code == .deadlineExceeded)
        }
    }

    @Test func `the deadline includes connecting`() async throws {
        try await withSilentListener { path in
            let channel = try GRPCChannel(target: path)
            let error = await #expect(throws: GRPCError.self) {
                try await channel.unary("/a/B", request: [], timeout: .milliseconds(20))
            }
            #expect(error?.status.code == .deadlineExceeded)
            await channel.shutdown()
        }
    }

    @Test func `cancelling the task ends the call at the client and at the server`() async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let (ends, ended) = AsyncStream.makeStream(of: Bool.self)
        try await withServer { _, _ in
            arrived.yield()
            await forever()
            ended.yield(Task.isCancelled)
            return .success([])
        } _: { channel, _ in
            let call = Task { try await channel.unary("/a/B", request: [], timeout: ample) }
            for await _ in arrivals { break }
            call.cancel()
            let result = await call.result
            #expect(throws: GRPCError(code: .cancelled, message: "CANCELLED")) { try result.get() }
            for await wasCancelled in ends {
                #expect(wasCancelled)
                break
            }
        }
    }

    @Test func `a call in a cancelled task fails with Cancelled`() async throws {
        try await withServer(silence) { channel, _ in
            let call = Task {
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                return try await channel.unary("/a/B", request: [], timeout: ample)
            }
            let result = await call.result
            let error = #expect(throws: GRPCError.self) { try result.get() }
            #expect(error?.status.code == .cancelled)
        }
    }

    @Test func `the error of a call without a server names the address`() async throws {
        let path = temporarySocket()
        let channel = try GRPCChannel(target: path)
        let error = await #expect(throws: GRPCError.self) {
            try await channel.unary("/a/B", request: [], timeout: ample)
        }
        #expect(error?.status.code == .unavailable)
        #expect(error?.status.message.contains(path) == true, "\(error?.status.message ?? "")")
        await channel.shutdown()
    }

    @Test func `many calls run concurrently`() async throws {
        let barrier = Barrier(count: 200)
        try await withServer { _, request in
            // No call gets a response before all calls have arrived.
            await barrier.arrive()
            return .success(request)
        } _: { channel, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 as Range<UInt8> {
                    group.addTask { try await channel.unary("/a/B", request: [number], timeout: ample) == [number] }
                }
                var count = 0
                for try await isRight in group where isRight { count += 1 }
                #expect(count == 200)
            }
        }
    }

    @Test func `a response of 63 MiB is received whole`() async throws {
        let large = [UInt8](repeating: 7, count: 63 << 20)
        try await withServer { _, _ in
            .success(large)
        } _: { channel, _ in
            // Not compared in the macro, which would print 63 MiB.
            let isWhole = try await channel.unary("/a/B", request: [], timeout: ample) == large
            #expect(isWhole)
        }
    }

    @Test func `a response above the limit is ResourceExhausted`() async throws {
        let path = temporarySocket()
        let server = try GRPCServer(address: path) { _, _ in .success([UInt8](repeating: 0, count: 2000)) }
        var configuration = GRPCChannel.Configuration()
        configuration.maximumReceiveMessageSize = 1000
        let channel = try GRPCChannel(target: path, configuration: configuration)
        let error = await #expect(throws: GRPCError.self) {
            try await channel.unary("/a/B", request: [], timeout: ample)
        }
        #expect(error?.status.code == .resourceExhausted)
        await channel.shutdown()
        await server.shutdown()
    }

    /// Cancels at different moments of a call. A continuation that is resumed twice traps.
    @Test func `a call that is cancelled while its response arrives ends once`() async throws {
        try await withServer(echo) { channel, _ in
            let ends = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<3000 {
                    group.addTask {
                        await withTaskGroup(of: Bool.self) { race in
                            race.addTask {
                                do throws(GRPCError) {
                                    return try await channel.unary("/a/B", request: [1], timeout: ample) == [1]
                                } catch {
                                    return error.status.code == .cancelled
                                }
                            }
                            for _ in 0..<(number % 20) { await Task.yield() }
                            race.cancelAll()
                            return await race.next() ?? false
                        }
                    }
                }
                return await group.reduce(into: 0) { count, isRight in count += isRight ? 1 : 0 }
            }
            #expect(ends == 3000)
        }
    }
}
