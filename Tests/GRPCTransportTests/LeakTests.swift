// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import Testing

/// Calls with every outcome leave nothing behind: no memory, and no file descriptor of the process.
///
/// In a process of its own, because memory and descriptors are those of the whole process.
@Suite(.timeLimit(.minutes(50))) struct LeakTests {
    @Test func `ten thousand calls leave nothing behind`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                // Starts what the process keeps: gRPC core's threads and their descriptors.
                try await Calls.run(waves: 20)
                let descriptors = try ProcessResources.openDescriptors()
                let heapBytes = ProcessResources.heapBytes
                try await Calls.run(waves: 100)
                try await until { try ProcessResources.openDescriptors() <= descriptors }
                // A call of gRPC core has more than 1 KiB: with one left for each call these would be 10 MiB.
                #expect(ProcessResources.heapBytes - heapBytes < 2 << 20)
            }
        }
    }
}

/// Many calls at once, again and again, to a server that responds, fails, is silent or does not exist.
private enum Calls {
    /// What becomes of a call.
    private enum Outcome: Int, CaseIterable {
        case returned, returnedAtLength, failed, deadlineExceeded, withoutServer, cancelledBeforeStart, cancelledAtOnce
        case cancelledInFlight
    }

    private static let perWave = 104

    static func run(waves: Int) async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let unconnected = try GRPCChannel(target: temporarySocket())
        try await withServer { method, request in
            switch method {
            case "/test/Return": return .success(request)
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
                let outcomes = (0..<perWave).map { Outcome.allCases[$0 % Outcome.allCases.count] }
                let calls = outcomes.map { outcome in
                    (outcome, task(outcome, channel: channel, unconnected: unconnected))
                }
                for (outcome, call) in calls where outcome == .cancelledAtOnce { call.cancel() }
                for outcome in outcomes where outcome == .cancelledInFlight { _ = await arrival.next() }
                for (outcome, call) in calls where outcome == .cancelledInFlight { call.cancel() }
                for (outcome, call) in calls { await check(outcome, call.value) }
            }
        }
        await unconnected.shutdown()
    }

    private static func task(
        _ outcome: Outcome,
        channel: GRPCChannel,
        unconnected: GRPCChannel
    ) -> Task<Result<[UInt8], GRPCError>, Never> {
        Task {
            do throws(GRPCError) {
                switch outcome {
                case .returned:
                    return .success(try await channel.unary("/test/Return", request: [1], timeout: ample))
                case .returnedAtLength:
                    let request = [UInt8](repeating: 1, count: 50_000)
                    return .success(try await channel.unary("/test/Return", request: request, timeout: ample))
                case .failed:
                    return .success(try await channel.unary("/test/Fail", request: [1], timeout: ample))
                case .deadlineExceeded:
                    return .success(try await channel.unary("/test/Wait", request: [], timeout: .milliseconds(1)))
                case .withoutServer:
                    return .success(try await unconnected.unary("/test/Return", request: [1], timeout: ample))
                case .cancelledBeforeStart:
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    return .success(try await channel.unary("/test/Wait", request: [1], timeout: ample))
                case .cancelledAtOnce:
                    return .success(try await channel.unary("/test/Wait", request: [1], timeout: ample))
                case .cancelledInFlight:
                    return .success(try await channel.unary("/test/Arrive", request: [1], timeout: ample))
                }
            } catch {
                return .failure(error)
            }
        }
    }

    private static func check(_ outcome: Outcome, _ result: Result<[UInt8], GRPCError>) {
        let code: GRPCStatus.Code =
            switch result {
            case .success: .ok
            case .failure(let error): error.status.code
            }
        let expected: GRPCStatus.Code =
            switch outcome {
            case .returned, .returnedAtLength: .ok
            case .failed: .internal
            case .deadlineExceeded: .deadlineExceeded
            case .withoutServer: .unavailable
            case .cancelledBeforeStart, .cancelledAtOnce, .cancelledInFlight: .cancelled
            }
        #expect(code == expected, "\(outcome): \(result)")
    }
}

/// Returns when the condition holds; the suite's time limit fails a test in which it never does. Without a sleep, whose
/// timer would be an open descriptor.
private func until(_ condition: () throws -> Bool) async rethrows {
    while try !condition() { await Task.yield() }
}
