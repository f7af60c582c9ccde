// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import Testing

@testable import CSIClient

@Suite(.timeLimit(.minutes(50))) struct StorageHealthTests {
    private func entry(_ status: Int, _ reason: String, _ message: String = "", capability: String? = nil) -> [UInt8] {
        let capability = capability.map { Wire.message(4, Wire.text(9, $0)) } ?? []
        return Wire.message(1, Wire.integer(1, status), Wire.text(2, reason), Wire.text(3, message), capability)
    }

    @Test func `NodeGetStorageHealth returns the problems in the driver's order`() async throws {
        var configuration = SimulatedDriver.Configuration.healthNode
        configuration.storageHealth = [
            .init(status: 2, reason: "PathDown", message: "all paths"), .init(status: 1, reason: "Slow"),
            .init(status: 0, reason: "Zero"), .init(status: -5, reason: "Negative"),
        ]
        try await withDriver(configuration) { driver, client in
            let problems = try await client.nodeGetStorageHealth()
            #expect(problems.map(\.status) == [.unreachable, .degraded, .unknown(0), .unknown(-5)])
            #expect(problems.map(\.reason) == ["PathDown", "Slow", "Zero", "Negative"])
            #expect(problems.map(\.message) == ["all paths", "", "", ""])
            driver.configuration.storageHealth = []
            let none = try await client.nodeGetStorageHealth()
            #expect(none.isEmpty)
        }
    }

    @Test func `entries that differ only in message or capability are merged`() throws {
        let reply =
            entry(1, "Slow", "first", capability: "block") + entry(1, "Slow", "second", capability: "mount")
            + entry(2, "Slow") + entry(1, "Other")
        let (problems, isTruncated) = try DriverStorageHealth.decode(reply: reply)
        #expect(problems.map(\.message) == ["first", "", ""])
        #expect(problems.map(\.status) == [.degraded, .unreachable, .degraded])
        #expect(!isTruncated)
    }

    @Test func `the number of problems is bounded, and the rest is logged once`() async throws {
        let log = makeLog()
        let maximum = DriverStorageHealth.maximumCount
        let reply = (0...maximum).flatMap { entry(1, "R\($0)") }
        try await withResponses(logger: log.logger) { _, _ in
            .success(reply)
        } _: { client in
            for _ in 1...2 {
                let problems = try await client.nodeGetStorageHealth()
                #expect(problems.map(\.reason) == (0..<maximum).map { "R\($0)" })
            }
        }
        #expect(log.text().ranges(of: "Ignored further problems").count == 1)
        // Repetitions of kept problems do not count.
        let repeated = (0..<maximum).flatMap { entry(1, "R\($0)") } + entry(1, "R0", "again")
        #expect(try !DriverStorageHealth.decode(reply: repeated).isTruncated)
    }

    @Test(
        arguments: [
            ([0x08, 1], "field 1 has another wire type"), ([0x0A, 9], "invalid protobuf field"),
            ([0x0A, 3, 0x12, 1, 0xFF], "invalid protobuf field"),
        ] as [([UInt8], String)]
    )
    func `a malformed storage health is an error`(bytes: [UInt8], problem: String) {
        let error = #expect(throws: CSIError.self) { try DriverStorageHealth.decode(reply: bytes) }
        #expect(error?.code == .invalidResponse)
        #expect(error?.message.contains(problem) == true)
    }

    @Test func `any bytes are decoded or are an error`() {
        var random = SeededGenerator(seed: 7)
        var decoded = 0
        for _ in 0..<2000 {
            var bytes = (0..<4).flatMap { entry($0, "Reason\($0)", "text") }
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...1, using: &random) * Int.random(in: 0...bytes.count, using: &random))
            if let result = try? DriverStorageHealth.decode(reply: bytes) {
                decoded += 1
                let keys = Set(result.problems.map { "\($0.status) \($0.reason)" })
                #expect(keys.count == result.problems.count)
            }
            _ = try? DriverVolume.Condition.decode(nodeReply: bytes)
        }
        #expect(decoded > 100)
    }
}
