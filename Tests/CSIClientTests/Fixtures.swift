// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Foundation
import GRPCTransport
import HealthMonitorTestKit
import InMemoryLogging
import Logging

/// Runs a driver and its client for as long as `body` runs.
@discardableResult
func withDriver<R>(
    _ configuration: SimulatedDriver.Configuration = .init(),
    timeout: Duration = .seconds(3600),
    maxEntries: Int32 = 0,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    observer: @escaping @Sendable (CSIClient.CallObservation) -> Void = { _ in },
    _ body: (SimulatedDriver, CSIClient) async throws -> R
) async throws -> R {
    let driver = SimulatedDriver(
        socket: "/tmp/csi-\(UUID().uuidString.prefix(13)).sock",
        configuration: configuration
    )
    try driver.start()
    let client = try CSIClient(
        configuration: .init(address: "unix://" + driver.socket, timeout: timeout, maxEntries: maxEntries),
        logger: logger,
        observer: observer
    )
    do {
        let result = try await body(driver, client)
        await client.shutdown()
        await driver.stop()
        return result
    } catch {
        await client.shutdown()
        await driver.stop()
        throw error
    }
}

/// Runs a driver whose responses come from `handler`, and its client, for as long as `body` runs.
func withResponses(
    timeout: Duration = .seconds(3600),
    maxEntries: Int32 = 0,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ handler: @escaping GRPCServer.Handler,
    _ body: (CSIClient) async throws -> Void
) async throws {
    let socket = "/tmp/csi-\(UUID().uuidString.prefix(13)).sock"
    let server = try GRPCServer(address: socket, handler: handler)
    let client = try CSIClient(
        configuration: .init(address: socket, timeout: timeout, maxEntries: maxEntries),
        logger: logger
    )
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(client))
    } catch {
        result = .failure(error)
    }
    await client.shutdown()
    await server.shutdown()
    try result.get()
}

/// Encodes messages field by field, independently of the client's code.
enum Wire {
    static func text(_ field: UInt8, _ text: String) -> [UInt8] {
        message(field, Array(text.utf8))
    }

    static func message(_ field: UInt8, _ fields: [UInt8]...) -> [UInt8] {
        let content = fields.flatMap(\.self)
        return [field << 3 | 2] + varint(UInt64(content.count)) + content
    }

    static func integer(_ field: UInt8, _ value: Int) -> [UInt8] {
        [field << 3] + varint(UInt64(bitPattern: Int64(value)))
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
    }
}

extension CSIClient {
    /// The ids of all volumes, page by page.
    func listedIDs() async throws -> [[String]] {
        var pages: [[String]] = []
        for try await page in listVolumes() { pages.append(page.map(\.id)) }
        return pages
    }
}

/// A logger for all levels, and its log so far.
func makeLog() -> (logger: Logger, text: @Sendable () -> String) {
    let handler = InMemoryLogHandler()
    var logger = Logger(label: "test") { _ in handler }
    logger.logLevel = .trace
    return (logger, { handler.entries.map { "\($0.level) \($0.message) \($0.metadata)" }.joined(separator: "\n") })
}
