// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KlogLogging
import Logging
import Synchronization

/// The log of the process: klog lines on standard error. Once the controller has identified its driver, each line has
/// the key `driver`.
///
/// | `--v` | Level | Logged |
/// |---|---|---|
/// | 0 | `notice` and above | what an operator acts on, and its end |
/// | 2 | `info` | each report: an event that was recorded, a status that was updated |
/// | 4 | `debug` | decisions: what was read back, skipped, or is retried |
/// | 5 | `trace` of ``logger`` | calls to the driver, with request and response |
/// | 6 | `trace` of ``requests`` | requests to the API server, including those for the Lease |
final class ProgramLog: Sendable {
    /// The verbosity of requests to the API server.
    static let requestVerbosity = 6

    let recentErrors: RecentErrors

    private let format: KlogHandler.Format
    private let verbosity: Int
    private let driverName: DriverName

    /// Bootstraps swift-log, which is possible once in a process.
    init(format: KlogHandler.Format, verbosity: Int) {
        let (driverName, recentErrors) = (DriverName(), RecentErrors())
        (self.format, self.verbosity, self.driverName, self.recentErrors) =
            (format, verbosity, driverName, recentErrors)
        LoggingSystem.bootstrap { _ in
            Self.handler(format, verbosity, driverName, recentErrors, trace: Logger.Level.defaultTraceVerbosity)
        }
    }

    var logger: Logger { Logger(label: "csi-health-monitor") }

    /// The logger of clients of the API server: its `trace` events require ``requestVerbosity``.
    var requests: Logger {
        Logger(label: "kubernetes") { _ in
            Self.handler(format, verbosity, driverName, recentErrors, trace: Self.requestVerbosity)
        }
    }

    /// Adds the driver's name to all lines from now on.
    func identified(as name: String) { driverName.value.withLock { $0 = name } }

    private static func handler(
        _ format: KlogHandler.Format,
        _ verbosity: Int,
        _ driverName: DriverName,
        _ recentErrors: RecentErrors,
        trace: Int
    ) -> RecordingLogHandler {
        var handler = KlogHandler(format: format, verbosity: verbosity, traceVerbosity: trace)
        handler.metadataProvider = Logger.MetadataProvider {
            driverName.value.withLock { $0.map { ["driver": "\($0)"] } } ?? [:]
        }
        return RecordingLogHandler(handler: handler, recentErrors: recentErrors)
    }
}

/// nil before the driver is identified.
private final class DriverName: Sendable {
    let value = Mutex<String?>(nil)
}
