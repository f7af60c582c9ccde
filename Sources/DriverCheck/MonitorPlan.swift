// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import NodeCore
import NodeMonitor

/// What csi-health-monitor does with a driver, at the defaults of its flags.
package struct MonitorPlan: Sendable, Hashable {
    /// A deviation that was found, and what it leads to.
    package struct Consequence: Sendable, Hashable {
        package var check: Check
        package var effect: String
    }

    package var strategy: String
    /// The number of volumes that ``callsPerMinute`` is for.
    package var volumes: Int
    package var callsPerMinute: Double
    package var calls: String
    /// What it cannot see.
    package var blindSpots: [String]
    package var consequences: [Consequence]

    /// The number of volumes that is assumed where none are listed.
    static let assumedVolumes = 1000

    init(_ recording: DriverRecording, _ capabilities: Capabilities, _ results: [CheckResult]) {
        consequences = results.filter { $0.deviates && $0.check.definition.hasEffect }.map {
            Consequence(check: $0.check, effect: $0.check.definition.effect)
        }
        // The monitor uses the new generation, which is the last one.
        let listed = recording.services.last?.fullLists.first
        let count = Set(listed?.ids ?? []).count
        volumes = count > 0 ? count : Self.assumedVolumes
        switch capabilities.side {
        case .controller:
            let strategy = ProbeStrategy(numbers: capabilities.numbers)
            let configuration = MonitorConfiguration(driverName: "", identity: "")
            self.strategy = Self.description(of: strategy)
            switch strategy {
            case .list(let generation, let canConfirm):
                let pages = max(1, listed?.pages.count ?? 1)
                callsPerMinute = Double(pages) / configuration.listVolumesInterval.minutes
                calls =
                    "\(pages) call\(pages == 1 ? "" : "s") of \(strategy.method) every \(interval(configuration.listVolumesInterval))"
                guard canConfirm else { break }
                let recheck = configuration.listVolumesInterval / 4
                let method = ProbeStrategy.get(generation).method
                calls += ", one of \(method) for each unhealthy volume every \(interval(recheck))"
                let unhealthy = Set(listed?.unhealthyIDs ?? []).count
                callsPerMinute += Double(unhealthy) / recheck.minutes
            case .get:
                callsPerMinute = Double(volumes) / configuration.monitorInterval.minutes
                calls =
                    "one call of \(strategy.method) for each volume every \(interval(configuration.monitorInterval)), "
                    + "for each unhealthy one every \(interval(configuration.monitorInterval / 4)), "
                    + "at most \(configuration.workerThreads) at a time"
            case .none: (callsPerMinute, calls) = (0, "none")
            }
            blindSpots = Self.blindSpots(of: strategy)
        case .node:
            let node = NodeCapabilities(numbers: capabilities.numbers)
            strategy = node.strategy.method.map { "\($0) for each volume of the node's pods" } ?? "none"
            let configuration = NodeMonitorConfiguration(nodeName: "", drivers: .socket(""))
            let (every, minutes) = (interval(configuration.monitorInterval), configuration.monitorInterval.minutes)
            let methods =
                [node.strategy.method.map { "\($0) for each volume" }]
                + [node.reportsStorageHealth ? "NodeGetStorageHealth" : nil]
            let named = methods.compactMap(\.self).map { "one call of \($0) every \(every)" }
            calls = named.isEmpty ? "none" : named.joined(separator: ", ")
            callsPerMinute = (node.strategy == .none ? 0 : Double(volumes) / minutes)
            if node.reportsStorageHealth { callsPerMinute += 1 / minutes }
            blindSpots = Self.blindSpots(of: node)
        }
        if results.contains(where: { $0.check == .unknownID && $0.deviates }) {
            blindSpots.append("volumes that were deleted in the storage: the driver does not return NOT_FOUND")
        }
    }

    /// Why a driver without any of the capabilities cannot be checked.
    static func missingCapabilities(of side: Check.Side) -> String {
        switch side {
        case .controller: ProbeStrategy.missingCapabilities
        case .node: NodeProbeStrategy.missingCapabilities
        }
    }

    private static func description(of strategy: ProbeStrategy) -> String {
        switch strategy {
        case .list(.health, canConfirm: true):
            "lists unhealthy volumes by \(strategy.method); that one has recovered is confirmed by "
                + "ControllerGetVolumeHealth"
        case .list(.health, canConfirm: false):
            "lists unhealthy volumes by \(strategy.method); that one has recovered is confirmed by a second list"
        case .list(.legacy, canConfirm: true):
            "lists all volumes by \(strategy.method); that one is missing is confirmed by ControllerGetVolume"
        case .list(.legacy, canConfirm: false):
            "lists all volumes by \(strategy.method); that one is missing is confirmed by a second list"
        case .get: "calls \(strategy.method) for each PersistentVolume"
        case .none: "none: nothing is reported"
        }
    }

    private static func blindSpots(of strategy: ProbeStrategy) -> [String] {
        guard let generation = strategy.generation else { return ["the health of every volume"] }
        var spots = ["what only the node sees, such as a mount that hangs: see the agent"]
        if generation == .legacy {
            spots.append("how severe a condition is, and its reason: a VolumeCondition has a message only")
        }
        if case .list(.health, canConfirm: false) = strategy {
            spots.append("whether a volume still exists: a list of health leaves out healthy and deleted volumes")
        }
        return spots
    }

    private static func blindSpots(of capabilities: NodeCapabilities) -> [String] {
        var spots = ["volumes that no pod of the node uses"]
        switch capabilities.strategy {
        case .health: break
        case .legacy: spots.append("volumes that are not published: NodeGetVolumeStats requires a path")
        case .none: spots.append("the health of every volume on the node")
        }
        if !capabilities.reportsStorageHealth { spots.append("the health of the storage as a whole") }
        return spots
    }
}

/// A flag's default as the flag shows it.
private func interval(_ duration: Duration) -> String {
    let seconds = duration.components.seconds
    return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
}

extension Duration {
    fileprivate var minutes: Double { Double(components.seconds) / 60 }
}
