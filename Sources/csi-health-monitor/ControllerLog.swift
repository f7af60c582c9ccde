// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Diagnostics
import Logging
import Synchronization

/// The log of the process: klog's lines on standard error. Each has the key `driver` from when the driver is identified.
final class ControllerLog: Sendable {
    private let format: KlogHandler.Format
    private let verbosity: Int
    private let driverName: DriverName

    /// Sets up swift-log for the process, which is possible once.
    init(format: KlogHandler.Format, verbosity: Int) {
        let driverName = DriverName()
        (self.format, self.verbosity, self.driverName) = (format, verbosity, driverName)
        LoggingSystem.bootstrap { _ in
            Self.handler(format, verbosity, driverName, trace: Logger.Level.callVerbosity)
        }
    }

    /// For all but ``requests``.
    var logger: Logger { Logger(label: "csi-health-monitor") }

    /// For clients of the API server, whose requests are logged at a verbosity of their own.
    var requests: Logger {
        Logger(label: "kubernetes") { _ in
            Self.handler(format, verbosity, driverName, trace: Logger.Level.requestVerbosity)
        }
    }

    /// The driver's name is known.
    func identified(as name: String) { driverName.value.withLock { $0 = name } }

    private static func handler(
        _ format: KlogHandler.Format,
        _ verbosity: Int,
        _ driverName: DriverName,
        trace: Int
    ) -> KlogHandler {
        var handler = KlogHandler(format: format, verbosity: verbosity, traceVerbosity: trace)
        handler.metadataProvider = Logger.MetadataProvider {
            driverName.value.withLock { $0.map { ["driver": "\($0)"] } } ?? [:]
        }
        return handler
    }
}

/// nil before the driver is identified.
private final class DriverName: Sendable {
    let value = Mutex<String?>(nil)
}
