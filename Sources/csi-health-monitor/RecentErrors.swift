// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KlogLogging
import Logging
import Synchronization

/// The latest warnings and errors of the log, for the status page. Bounded: lines with one text count as one.
final class RecentErrors: Sendable {
    struct Entry: Sendable, Equatable {
        /// The line's constant message.
        var message: String
        /// Its readiness check, and its error or reason, which may have the driver's or the API server's message; empty
        /// if it has none. Its other values, such as `volumeHandle`, are left out.
        var detail: String
        /// When the first and the last of these lines were logged, in seconds since 1970.
        var first: Double
        var last: Double
        /// How many lines this stands for.
        var count: Int
    }

    static let maximumEntries = 10
    /// Of the detail.
    static let maximumBytes = 512

    private let state = Mutex<[Entry]>([])

    /// The latest first.
    var entries: [Entry] { state.withLock { $0.reversed() } }

    /// Adds a line, unless it is less severe than a warning.
    func record(_ event: LogEvent, at now: Double) {
        guard event.level >= .warning else { return }
        let metadata = event.metadata ?? [:]
        let reason = event.error.map { "\($0)" } ?? (metadata["err"] ?? metadata["reason"])?.description
        let detail = bounded(
            [metadata["check"]?.description, reason].compactMap(\.self).joined(separator: ": "),
            toBytes: Self.maximumBytes
        )
        var entry = Entry(message: event.message.description, detail: detail, first: now, last: now, count: 1)
        state.withLock { entries in
            if let index = entries.firstIndex(where: { ($0.message, $0.detail) == (entry.message, entry.detail) }) {
                let known = entries.remove(at: index)
                (entry.first, entry.count) = (known.first, known.count + 1)
            } else if entries.count == Self.maximumEntries {
                entries.removeFirst()
            }
            entries.append(entry)
        }
    }
}

/// Passes each event to a klog handler, and records those of ``RecentErrors``.
struct RecordingLogHandler: LogHandler {
    var handler: KlogHandler
    let recentErrors: RecentErrors

    var logLevel: Logger.Level {
        get { handler.logLevel }
        set { handler.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { handler.metadata }
        set { handler.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { handler.metadataProvider }
        set { handler.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { handler[metadataKey: key] }
        set { handler[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        recentErrors.record(event, at: WallClock.secondsSince1970)
        handler.log(event: event)
    }
}
