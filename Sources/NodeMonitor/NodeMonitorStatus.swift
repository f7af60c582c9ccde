// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NodeCore

/// What works and what fails, for health pages.
package struct NodeMonitorStatus: Sendable, Hashable {
    /// A failure that lasts.
    package struct Failure: Sendable, Hashable {
        package var age: Duration
        package var reason: String
    }

    /// The watch of the node's pods.
    package struct Watch: Sendable, Hashable {
        /// The time since the last event, bookmark or reopening; nil before the first list is complete.
        package var silence: Duration?
        /// nil while the watch is open, and before it has begun.
        package var failure: Failure?
    }

    /// A driver of the node.
    package struct Driver: Sendable, Hashable {
        /// nil for a driver behind a fixed socket that was not identified yet.
        package var name: String?
        /// The path or address of its socket.
        package var address: String
        /// Empty before it was identified.
        package var version: String
        /// The RPC that reports the health of its volumes; nil: it reports none, or was not identified yet.
        package var method: String?
        /// nil: connected, and identified.
        package var failure: Failure?
        /// Whether it reports the health of volumes; nil before it was identified.
        package var isSupported: Bool?
        /// Calls time out: one call per interval is made until the driver responds.
        package var isHanging: Bool
        /// A problem of the driver or of the flags, in a sentence.
        package var problem: String?
        /// The time since an interval ended in which every volume was probed; nil: none has.
        package var sweepAge: Duration?

        /// Whether the driver is connected.
        package var isConnected: Bool { failure == nil }
    }

    /// By name.
    package var drivers: [Driver]
    /// Why registered drivers may not be found, and what to do; nil when they can be.
    package var discoveryProblem: String?
    package var watch: Watch
}

extension NodeMonitorStatus.Driver {
    init(
        address: String,
        _ connection: DriverMonitor.Connection,
        _ state: NodeHealthSnapshot.Driver?,
        at now: Duration
    ) {
        let isSupported = connection.strategy.map { $0 != .none }
        self.init(
            name: connection.name,
            address: address,
            version: connection.version,
            method: connection.strategy?.method,
            failure: connection.failure.map { .init(age: now - connection.since, reason: $0) },
            isSupported: isSupported,
            isHanging: state?.isHanging ?? false,
            problem: isSupported == false ? NodeProbeStrategy.missingCapabilities : state?.problem?.message,
            sweepAge: connection.lastSweep.map { now - $0 }
        )
    }
}
