// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import NodeCore
import Synchronization

/// Another driver responds on the socket than the one whose volumes are monitored.
package struct DriverRenamedError: Error, CustomStringConvertible {
    package var expected: String
    package var found: String

    package var description: String {
        "the driver on the socket calls itself \(found) now, it was \(expected): start again to monitor \(found)"
    }
}

extension DriverMonitor {
    /// What is known of the connection.
    struct Connection: Sendable {
        /// The name that the driver returned last; nil before it was identified.
        var name: String?
        var version = ""
        var strategy: NodeProbeStrategy?
        /// nil: connected.
        var failure: String?
        /// Since when it is not connected; unused while it is.
        var since: Duration
        /// When an interval ended in which every volume was probed.
        var lastSweep: Duration?
    }

    /// Whether the driver is the one to monitor.
    ///
    /// - Throws: ``DriverRenamedError``.
    func isExpected(_ name: String) throws -> Bool {
        let expected = registeredName ?? connection.withLock { $0.name } ?? name
        if name == expected { return true }
        guard registeredName != nil else { throw DriverRenamedError(expected: expected, found: name) }
        let failure = "the driver on \(address) calls itself \(name), it is registered as \(expected)"
        if current.failure != failure {
            context.logger.warning("Waiting for the CSI driver", metadata: ["reason": "\(failure)"])
        }
        didFail(failure)
        return false
    }

    func didConnect(_ identity: DriverIdentity, _ strategy: NodeProbeStrategy) {
        connection.withLock { connection in
            connection.name = identity.name
            connection.version = identity.vendorVersion
            connection.strategy = strategy
            connection.failure = nil
        }
        let metadata: Logger.Metadata = [
            "driver": "\(identity.name)", "version": "\(identity.vendorVersion)",
            "method": "\(strategy.method ?? "none")",
        ]
        if strategy == .none {
            context.logger.warning(
                "The driver does not report volume health, its volumes are not monitored",
                metadata: metadata.merging(["reason": "\(NodeProbeStrategy.missingCapabilities)"]) { $1 }
            )
        } else {
            context.logger.notice("Monitoring the driver's volumes", metadata: metadata)
        }
    }

    func didFail(_ reason: String) {
        let now = now
        connection.withLock { connection in
            if connection.failure == nil { connection.since = now }
            connection.failure = reason
        }
    }
}
