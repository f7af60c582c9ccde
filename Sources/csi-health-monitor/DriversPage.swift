// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NodeCore
import NodeMonitor

/// The page `/healthz/drivers`: each driver of the node with its state.
struct DriversPage: Sendable {
    var status: NodeMonitorStatus
    var health: NodeHealthSnapshot

    var text: String {
        let known = Dictionary(health.drivers.map { ($0.name, $0) }) { first, _ in first }
        var lines = status.discoveryProblem.map { [$0] } ?? []
        if status.drivers.isEmpty { lines.append("no CSI driver was found") }
        lines += status.drivers.map { driver in
            let name = driver.version.isEmpty ? driver.displayName : "\(driver.displayName) \(driver.version)"
            let state = driver.problems.isEmpty ? "ok" : driver.problems.joined(separator: "; ")
            let health = driver.name.flatMap { known[$0] }
            let storage = (health?.storage?.names).map { "storage \($0)" }
            let facts = [state, driver.method, health?.counts.text, storage]
            return "\(name): \(facts.compactMap(\.self).joined(separator: ", "))"
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
    /// Of volumes in any state.
    var total: Int { healthy + unhealthy + unknown + waiting }

    /// Without the states that no volume is in; nil without volumes.
    var text: String? {
        let states = [
            ("healthy", healthy), ("unhealthy", unhealthy), ("unknown", unknown), ("waiting", waiting),
            ("unanswered", unresponsive),
        ]
        let texts = states.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }
        return texts.isEmpty ? nil : texts.joined(separator: ", ")
    }
}

extension StorageHealth {
    /// The conditions without the driver's messages; nil while there is none.
    var names: String? {
        isClear ? nil : conditions.map { "\($0.status.name) (\($0.reason))" }.joined(separator: ", ")
    }
}
