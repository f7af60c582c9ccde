// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Synchronization
import Testing

@testable import GRPCTransport

/// Calls of every fate leave nothing behind: not a C object of their channel, and not a file descriptor of the process.
///
/// In a process of its own, because the descriptors are everybody's.
@Suite(.timeLimit(.minutes(30))) struct LeakTests {
    @Test func `ten thousand calls leave nothing`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                // What is opened once and kept: gRPC core's threads and their descriptors.
                try await Calls.run(waves: 2)
                let before = try openDescriptors()
                try await Calls.run(waves: 100)
                try await until { try openDescriptors() <= before }
            }
        }
    }
}

/// Many calls at once, again and again, of a server that answers, fails, keeps silent or is not there.
private enum Calls {
    private enum Fate: Int, CaseIterable {
        case answered, answeredAtLength, failed, pastTheDeadline, withoutAServer, cancelledBeforehand, cancelledAtOnce
        case cancelledUnderWay
    }

    private static let perWave = 104

    static func run(waves: Int) async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let nobody = try GRPCChannel(target: temporarySocket())
        try await withServer { method, request in
            switch method {
            case "/test/Answer": return .success(request)
            case "/test/Fail":
                return .failure(GRPCError(code: .internal, message: String(repeating: "long ", count: 99)))
            case "/test/Arrive":
                arrived.yield()
                fallthrough
            default: return await silence(method, request)
            }
        } _: { channel, _ in
            var arrival = arrivals.makeAsyncIterator()
            for _ in 0..<waves {
                let fates = (0..<perWave).map { Fate.allCases[$0 % Fate.allCases.count] }
                let calls = fates.map { fate in (fate, task(fate, channel: channel, nobody: nobody)) }
                for (fate, call) in calls where fate == .cancelledAtOnce { call.cancel() }
                for fate in fates where fate == .cancelledUnderWay { _ = await arrival.next() }
                for (fate, call) in calls where fate == .cancelledUnderWay { call.cancel() }
                for (fate, call) in calls { await check(fate, call.value) }
                // The queue's thread lets go of a call after it has said how it ended.
                await until { channel.liveHandles == 1 }
            }
            await channel.shutdown()
            #expect(channel.liveHandles == 0)
        }
        await nobody.shutdown()
        #expect(nobody.liveHandles == 0)
    }

    private static func task(
        _ fate: Fate,
        channel: GRPCChannel,
        nobody: GRPCChannel
    ) -> Task<Result<[UInt8], GRPCError>, Never> {
        Task {
            do throws(GRPCError) {
                switch fate {
                case .answered:
                    return .success(try await channel.unary("/test/Answer", request: [1], timeout: ample))
                case .answeredAtLength:
                    let request = [UInt8](repeating: 1, count: 50_000)
                    return .success(try await channel.unary("/test/Answer", request: request, timeout: ample))
                case .failed:
                    return .success(try await channel.unary("/test/Fail", request: [1], timeout: ample))
                case .pastTheDeadline:
                    return .success(try await channel.unary("/test/Wait", request: [], timeout: .milliseconds(1)))
                case .withoutAServer:
                    return .success(try await nobody.unary("/test/Answer", request: [1], timeout: ample))
                case .cancelledBeforehand:
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    return .success(try await channel.unary("/test/Wait", request: [1], timeout: ample))
                case .cancelledAtOnce:
                    return .success(try await channel.unary("/test/Wait", request: [1], timeout: ample))
                case .cancelledUnderWay:
                    return .success(try await channel.unary("/test/Arrive", request: [1], timeout: ample))
                }
            } catch {
                return .failure(error)
            }
        }
    }

    private static func check(_ fate: Fate, _ result: Result<[UInt8], GRPCError>) {
        let code: GRPCStatus.Code =
            switch result {
            case .success: .ok
            case .failure(let error): error.status.code
            }
        let expected: GRPCStatus.Code =
            switch fate {
            case .answered, .answeredAtLength: .ok
            case .failed: .internal
            case .pastTheDeadline: .deadlineExceeded
            case .withoutAServer: .unavailable
            case .cancelledBeforehand, .cancelledAtOnce, .cancelledUnderWay: .cancelled
            }
        #expect(code == expected, "\(fate): \(result)")
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
