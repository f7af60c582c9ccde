// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthCore
import NodeCore
import NodeMonitor

/// What the agent's page shows: not more than its metrics and health pages.
struct AgentPage: Sendable {
    /// The number of volumes in a table, so that the page's size is bounded.
    static let maximumVolumes = 100

    var build: CommonMetrics.Build
    var nodeName: String
    var readiness: AgentReadiness
    /// nil before the monitor was created.
    var health: NodeHealthSnapshot?
    /// On the clock of the snapshot.
    var time: Duration
    /// Since the program started.
    var uptime: Duration
    /// The wall-clock time, in seconds since 1970.
    var now: Double

    /// - Parameter links: to the other pages of the endpoint.
    func page(links: [StatusPage.Link]) -> StatusPage {
        let (summary, tone) = summary
        let tables = [StatusPage.Table.problems(readiness.checks), drivers, unhealthy, unanswered]
        return StatusPage(
            title: "csi-health-monitor agent: \(nodeName)",
            summary: summary,
            tone: tone,
            tables: tables.compactMap(\.self),
            facts: [agent],
            links: links,
            footer: StatusPage.footer(build, at: now)
        )
    }

    /// Of the drivers that are monitored.
    private var counts: [NodeHealthSnapshot.Counts] {
        let names = Set((readiness.monitor?.drivers ?? []).compactMap(\.name))
        return (health?.drivers ?? []).filter { names.contains($0.name) }.map(\.counts)
    }

    private var summary: (String, StatusPage.Tone) {
        guard let health else { return ("The monitor has not started yet", .plain) }
        let (counts, total) = (counts, counts.map(\.total).reduce(0, +))
        let unhealthy = counts.map(\.unhealthy).reduce(0, +)
        if unhealthy > 0 { return ("\(unhealthy) of \(total) volumes \(Self.are(unhealthy)) unhealthy", .bad) }
        if !readiness.isReady { return ("This agent is not able to report", .bad) }
        let storage = health.drivers.compactMap { driver in
            driver.storage.flatMap(\.names).map { "the storage of \(driver.name) is \($0)" }
        }
        let healthy = counts.map(\.healthy).reduce(0, +)
        let unanswered = counts.map(\.unresponsive).reduce(0, +)
        let volumes =
            total == 0
            ? "The pods of this node use no volumes of its CSI drivers"
            : "\(healthy) of \(total) volumes \(Self.are(healthy)) healthy"
        if let first = storage.first { return ("\(volumes), \(first)", .bad) }
        if total == 0 { return (volumes, .plain) }
        if unanswered > 0 { return ("\(volumes), \(unanswered) \(Self.are(unanswered)) unanswered", .bad) }
        return healthy == total ? (volumes, .good) : ("\(volumes), none is unhealthy", .plain)
    }

    private static func are(_ count: Int) -> String { count == 1 ? "is" : "are" }

    private var drivers: StatusPage.Table {
        let known = Dictionary((health?.drivers ?? []).map { ($0.name, $0) }) { first, _ in first }
        let rows = (readiness.monitor?.drivers ?? []).map { driver in
            let health = driver.name.flatMap { known[$0] }
            let state = driver.problems.isEmpty ? "ok" : driver.problems.joined(separator: "; ")
            let volumes = health?.counts.text
            // Without volumes there are no sweeps.
            let sweep = volumes.flatMap { _ in driver.sweepAge }.map { "\(Self.text($0)) ago" }
            return [
                driver.displayName, driver.version, bounded(state, toBytes: StatusPage.maximumReasonBytes),
                driver.method ?? "", volumes ?? "", health?.storage?.names ?? "", sweep ?? "",
            ]
        }
        return StatusPage.Table(
            title: "CSI drivers",
            columns: ["Driver", "Version", "State", "Probed by", "Volumes", "Storage", "Last sweep"],
            rows: rows,
            placeholder: "None was found"
        )
    }

    /// The worst first; nil while there is none.
    private var unhealthy: StatusPage.Table? {
        let volumes = (health?.unhealthy ?? []).enumerated().sorted { first, second in
            let (left, right) = (first.element.conditions.first?.status, second.element.conditions.first?.status)
            if let left, let right, left != right { return left > right }
            return first.offset < second.offset
        }.map { $0.element }
        return Self.table(
            "Unhealthy volumes",
            ["Status", "Reason"],
            volumes.map { volume in
                let (statuses, reasons) = (volume.conditions.map(\.status.rawValue), volume.conditions.map(\.reason))
                return (volume.volume, [StatusPage.unique(statuses), StatusPage.unique(reasons)], time - volume.since)
            }
        )
    }

    private var unanswered: StatusPage.Table? {
        Self.table("Volumes without a response", [], (health?.unresponsive ?? []).map { ($0.volume, [], $0.age) })
    }

    private static func table(
        _ title: String,
        _ columns: [String],
        _ volumes: [(volume: NodeVolume, cells: [String], age: Duration)]
    ) -> StatusPage.Table? {
        guard !volumes.isEmpty else { return nil }
        let rows = volumes.prefix(maximumVolumes).map { volume, cells, age in
            [volume.namespace, volume.podName, volume.nameList, volume.claimName ?? "", volume.driver]
                + cells + [text(age)]
        }
        return StatusPage.Table(
            title: title,
            columns: ["Namespace", "Pod", "Volume", "Claim", "Driver"] + columns + ["For"],
            rows: rows,
            omitted: max(0, volumes.count - maximumVolumes),
            placeholder: ""
        )
    }

    private var agent: StatusPage.Facts {
        var facts = [StatusPage.Fact("Node", nodeName)]
        if let health {
            facts.append(.init("Pods", "\(health.pods)"))
            facts.append(.init("Claims without a known volume", "\(health.unresolvedClaims)"))
            facts.append(.init("Flapping volumes", "\(health.flapping.count)"))
        }
        facts.append(readiness.isReady ? .init("Ready", "yes", .good) : .init("Ready", "no", .bad))
        facts.append(.init("Up", Self.text(uptime)))
        return StatusPage.Facts(title: "This agent", facts: facts)
    }

    private static func text(_ duration: Duration) -> String { age(duration.components.seconds) }
}
