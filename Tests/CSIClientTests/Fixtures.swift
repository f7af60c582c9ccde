// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Foundation
import HealthMonitorTestKit
import InMemoryLogging
import Logging

/// A driver and a client of it, for as long as `body` runs.
@discardableResult
func withDriver<R>(
    _ configuration: SimulatedDriver.Configuration = .init(),
    timeout: Duration = .seconds(60),
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

extension CSIClient {
    /// The ids of all volumes, page by page.
    func listedIDs() async throws -> [[String]] {
        var pages: [[String]] = []
        for try await page in listVolumes() { pages.append(page.map(\.id)) }
        return pages
    }
}

/// A logger of everything, and what it was given.
func makeLog() -> (logger: Logger, text: @Sendable () -> String) {
    let handler = InMemoryLogHandler()
    var logger = Logger(label: "test") { _ in handler }
    logger.logLevel = .trace
    return (logger, { handler.entries.map { "\($0.level) \($0.message) \($0.metadata)" }.joined(separator: "\n") })
}
