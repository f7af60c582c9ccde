// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KlogLogging
import Logging
import Testing

@testable import csi_health_monitor

@Suite struct RecentErrorsTests {
    private let recent = RecentErrors()

    private func log(
        _ level: Logger.Level = .warning,
        _ message: String = "Failed to list volumes, retrying",
        _ metadata: Logger.Metadata = [:],
        at now: Double = 0
    ) {
        let event = LogEvent(
            level: level,
            message: "\(message)",
            metadata: metadata,
            source: "test",
            file: #fileID,
            function: #function,
            line: #line
        )
        recent.record(event, at: now)
    }

    @Test func `warnings and errors are kept, with what they say of the cause`() {
        for level in [Logger.Level.trace, .debug, .info, .notice] { log(level) }
        #expect(recent.entries.isEmpty)
        log(.error, "Failed to list volumes, retrying", ["err": "INTERNAL: no", "page": "2"], at: 1)
        log(.warning, "Readiness check failing", ["check": "last-sweep", "reason": "none", "for": "60s"], at: 2)
        log(.warning, "Lost leadership", at: 3)
        #expect(recent.entries.map(\.detail) == ["", "last-sweep: none", "INTERNAL: no"])
        #expect(recent.entries.map(\.last) == [3, 2, 1])
    }

    @Test func `lines with one text are one entry, which moves to the front`() {
        log(at: 1)
        log(.error, "other", at: 2)
        for second in 3...7 { log(at: Double(second)) }
        #expect(
            recent.entries == [
                .init(message: "Failed to list volumes, retrying", detail: "", first: 1, last: 7, count: 6),
                .init(message: "other", detail: "", first: 2, last: 2, count: 1),
            ]
        )
    }

    @Test func `the number of entries and their length are bounded`() {
        for number in 0..<1000 {
            log(.warning, "message \(number)", ["err": "\(String(repeating: "é", count: 10_000))"], at: Double(number))
        }
        #expect(recent.entries.count == RecentErrors.maximumEntries)
        #expect(recent.entries.first?.message == "message 999")
        #expect(recent.entries.allSatisfy { $0.detail.utf8.count <= RecentErrors.maximumBytes })
    }

    @Test func `the handler records what it logs, at every verbosity`() {
        let handler = RecordingLogHandler(
            handler: KlogHandler(format: .text, verbosity: 0),
            recentErrors: recent
        )
        var logger = Logger(label: "test") { _ in handler }
        logger[metadataKey: "driver"] = "hostpath.csi.k8s.io"
        logger.info("Recorded event")
        logger.warning("Failed to record event, retrying", metadata: ["err": "403"])
        #expect(recent.entries.map(\.message) == ["Failed to record event, retrying"])
        #expect(recent.entries.map(\.detail) == ["403"])
    }
}
