// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NodeCore
import NodeMonitor

/// The page `/healthz/drivers`: each driver of the node with its state.
struct DriversPage: Sendable {
    var status: NodeMonitorStatus
    var health: NodeHealthSnapshot

    var text: String {
        let counts = Dictionary(health.drivers.map { ($0.name, $0.counts) }) { first, _ in first }
        var lines = status.discoveryProblem.map { [$0] } ?? []
        if status.drivers.isEmpty { lines.append("no CSI driver was found") }
        lines += status.drivers.map { driver in
            let name = driver.version.isEmpty ? driver.displayName : "\(driver.displayName) \(driver.version)"
            let state = driver.problems.isEmpty ? "ok" : driver.problems.joined(separator: "; ")
            let method = driver.method.map { ", \($0)" } ?? ""
            return "\(name): \(state)\(method)\(driver.name.flatMap { counts[$0] }?.text ?? "")"
        }
        return lines.joined(separator: "\n")
    }
}

extension NodeMonitorStatus.Driver {
    /// The name, or the socket's address before the driver was identified.
    var displayName: String { name ?? address }

    /// Why its volumes may not be reported, in sentences; empty if they are.
    var problems: [String] {
        [
            failure.map { "not connected: \($0.reason)" },
            isHanging ? "its calls time out, one call per interval is made" : nil,
            problem,
        ].compactMap(\.self)
    }
}

extension NodeHealthSnapshot.Counts {
    /// Without the states that no volume is in.
    fileprivate var text: String {
        let states = [
            ("healthy", healthy), ("unhealthy", unhealthy), ("unknown", unknown), ("waiting", waiting),
            ("unanswered", unresponsive),
        ]
        return states.filter { $0.1 > 0 }.map { ", \($0.1) \($0.0)" }.joined()
    }
}
