// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import Logging

/// A log handler that writes as Kubernetes components do: klog's text format, or component-base's JSON.
///
/// Metadata values given as `.stringConvertible` keep their type: integers, `Double` and `Bool` are written without
/// quotes, a `Duration` as Go prints it. A dictionary with the keys `namespace` and `name` is klog's KObj: `"ns/name"`
/// in text, an object in JSON. The key `err` is the error. In JSON, `severity` is `info`, `warning` or `error`.
///
/// One event is one line. Messages and values are quoted, so that no text from a driver or a server can forge a log
/// line. Nothing is redacted here: never pass a secret to a logger.
package struct KlogHandler: LogHandler {
    package enum Format: String, Sendable, CaseIterable {
        /// `I0420 09:39:53.317402       1 file.swift:182] "Message" key="value"`
        case text
        /// `{"ts":1713605993317.402,"caller":"Module/file.swift:182","msg":"Message","v":0,"severity":"info","key":"value"}`
        case json
    }

    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let format: Format
    private let traceVerbosity: Int
    private let now: @Sendable () -> LogTime
    private let write: @Sendable ([UInt8]) -> Void

    /// Creates a handler that writes to standard error, each event by one write(2) where the kernel takes it whole.
    ///
    /// - Parameters:
    ///   - verbosity: klog's `--v`, see ``Logging/Logger/Level/init(verbosity:trace:)``.
    ///   - traceVerbosity: the verbosity from which `trace` events are written.
    package init(format: Format, verbosity: Int, traceVerbosity: Int = Logger.Level.defaultTraceVerbosity) {
        self.init(
            format: format,
            verbosity: verbosity,
            traceVerbosity: traceVerbosity,
            now: LogTime.now,
            write: StandardError.write
        )
    }

    /// - Parameter write: receives each line with its line feed.
    init(
        format: Format,
        verbosity: Int,
        traceVerbosity: Int = Logger.Level.defaultTraceVerbosity,
        now: @escaping @Sendable () -> LogTime,
        write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.format = format
        self.traceVerbosity = traceVerbosity
        self.logLevel = Logger.Level(verbosity: verbosity, trace: traceVerbosity)
        self.now = now
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        // Precedence: the event's metadata, then the handler's, then the provider's.
        var values = event.metadata ?? [:]
        values.merge(metadata) { current, _ in current }
        if let metadataProvider { values.merge(metadataProvider.get()) { current, _ in current } }
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

/// klog's `--v` as swift-log's levels: 0 logs `notice` and above, 2 adds `info`, 4 adds `debug`, and the trace
/// verbosity of a handler adds `trace`.
extension Logger.Level {
    /// The default verbosity of `trace` events: CSI sidecars log their gRPC calls at 5.
    package static let defaultTraceVerbosity = 5

    /// The least severe level that is logged at klog's `--v`.
    ///
    /// - Parameter trace: the verbosity from which `trace` is logged.
    package init(verbosity: Int, trace: Int = Self.defaultTraceVerbosity) {
        self =
            switch verbosity {
            case ..<2: .notice
            case ..<4: .info
            case ..<trace: .debug
            default: .trace
            }
    }

    /// The lowest `--v` at which this level is logged.
    func verbosity(trace: Int) -> Int {
        switch self {
        case .trace: trace
        case .debug: 4
        case .info: 2
        case .notice, .warning, .error, .critical: 0
        }
    }
}
