// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Foundation
import HealthMonitorTestKit
import Logging
import Synchronization

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

/// Remembers what was logged.
final class LogStore: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(store: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let store: LogStore
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            store.lines.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
        }
    }
}
