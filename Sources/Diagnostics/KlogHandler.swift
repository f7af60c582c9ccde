// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import Logging

/// A log handler that writes as Kubernetes components do: klog's text, or the JSON of `--logging-format=json`.
///
/// Values of the metadata keep their type where they are given with `.stringConvertible`: integers, `Double` and `Bool` are
/// written without quotes, a `Duration` as Go prints it. A dictionary of `namespace` and `name` is klog's KObj: `"ns/name"` as
/// text, an object in JSON. The key `err` is the error. In JSON, `severity` is `info`, `warning` or `error`.
///
/// One event is one line. Whatever a message or a value holds, it is quoted, so that nothing that a driver or a server
/// says can look like a line of ours. Nothing is redacted here: secrets must not be given to a logger.
package struct KlogHandler: LogHandler {
    /// How a line looks.
    package enum Format: String, Sendable, CaseIterable {
        /// `I0420 09:39:53.317402       1 file.swift:182] "Message" key="value"`
        case text
        /// `{"ts":1713605993317.402,"caller":"Module/file.swift:182","msg":"Message","v":0,"severity":"info","key":"value"}`
        case json
    }

    /// Events of this level and more severe ones are written.
    package var logLevel: Logger.Level
    /// Is written with every event.
    package var metadata: Logger.Metadata = [:]
    /// Where more metadata comes from, asked at every event.
    package var metadataProvider: Logger.MetadataProvider?

    private let format: Format
    private let traceVerbosity: Int
    private let now: @Sendable () -> LogTime
    private let write: @Sendable ([UInt8]) -> Void

    /// Writes events of `verbosity` and below to standard error, each by one write(2).
    ///
    /// - Parameters:
    ///   - verbosity: the value of `--v`, see ``Logging/Logger/Level/init(verbosity:trace:)``.
    ///   - traceVerbosity: the verbosity of this handler's `trace` lines.
    package init(format: Format, verbosity: Int, traceVerbosity: Int = Logger.Level.callVerbosity) {
        self.init(
            format: format,
            verbosity: verbosity,
            traceVerbosity: traceVerbosity,
            now: LogTime.now,
            write: StandardError.write
        )
    }

    /// Writes lines, with their line feeds, to `write`.
    init(
        format: Format,
        verbosity: Int,
        traceVerbosity: Int = Logger.Level.callVerbosity,
        now: @escaping @Sendable () -> LogTime,
        write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.format = format
        self.traceVerbosity = traceVerbosity
        self.logLevel = Logger.Level(verbosity: verbosity, trace: traceVerbosity)
        self.now = now
        self.write = write
    }

    /// One value of ``metadata``.
    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line.
    package func log(event: LogEvent) {
        // The nearer one wins: the event's own, then the handler's, then the task's.
        var values = event.metadata ?? [:]
        values.merge(metadata) { nearer, _ in nearer }
        if let metadataProvider { values.merge(metadataProvider.get()) { nearer, _ in nearer } }
        let errorValue = event.error == nil ? values.removeValue(forKey: "err") : nil
        let line = LogLine(
            level: event.level,
            verbosity: event.level.verbosity(trace: traceVerbosity),
            time: now(),
            file: event.file,
            line: event.line,
            message: event.message.description,
            error: event.error.map { "\($0)" } ?? errorValue?.description,
            metadata: values.sorted { $0.key < $1.key }
        )
        switch format {
        case .text: write(Array((line.text + "\n").utf8))
        case .json: write(Array((line.json + "\n").utf8))
        }
    }
}

/// What is logged at which `--v`:
///
/// | `--v` | Level | What |
/// |---|---|---|
/// | 0 | `notice` and above | what an operator acts on, and its end |
/// | 2 | `info` | each report: an event that was recorded, a status that was updated |
/// | 4 | `debug` | decisions: what was read back, skipped, or is retried |
/// | 5 | `trace` | calls to the driver, with request and response |
/// | 6 | `trace` of a handler with ``requestVerbosity`` | requests to the API server, those for the Lease included |
extension Logger.Level {
    /// The verbosity of calls to the driver; external-health-monitor logs its gRPC calls at 5 too.
    package static let callVerbosity = 5
    /// The verbosity of requests to the API server.
    package static let requestVerbosity = 6

    /// The least severe level that is logged at klog's `--v`.
    ///
    /// - Parameter trace: the verbosity of `trace`.
    package init(verbosity: Int, trace: Int = Self.callVerbosity) {
        self =
            switch verbosity {
            case ..<2: .notice
            case ..<4: .info
            case ..<trace: .debug
            default: .trace
            }
    }

    /// The least `--v` with which this level is logged.
    func verbosity(trace: Int) -> Int {
        switch self {
        case .trace: trace
        case .debug: 4
        case .info: 2
        case .notice, .warning, .error, .critical: 0
        }
    }
}
