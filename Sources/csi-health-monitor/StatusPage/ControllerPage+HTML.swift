// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import Flags
import HTTPEndpoint
import HealthCore

extension ControllerPage {
    /// The page for the path `/`.
    ///
    /// - Parameter links: to other pages of the endpoint.
    func page(links: [StatusPage.Link]) -> StatusPage {
        let (summary, tone) = summary
        return StatusPage(
            title: "csi-health-monitor: \(driverName)",
            summary: summary,
            tone: tone,
            tables: [StatusPage.Table.problems(checks), claims, errors].compactMap(\.self),
            facts: [driver, volumes, reports, replica].compactMap(\.self),
            links: links,
            footer: StatusPage.footer(build, at: now)
        )
    }

    private var summary: (String, StatusPage.Tone) {
        guard let health = snapshot.health else {
            if role == .standby {
                return ("This replica is a standby. The leader shows the health of the volumes.", .plain)
            }
            return ("The health of the volumes is not known yet", readiness.isReady ? .plain : .bad)
        }
        let total = health.healthyVolumes + health.unhealthyVolumes + health.staleVolumes + health.unknownVolumes
        if health.unhealthyVolumes > 0 {
            return (
                "\(health.unhealthyVolumes) of \(total) volumes \(Self.are(health.unhealthyVolumes)) unhealthy", .bad
            )
        }
        if !readiness.isReady { return ("This replica is not able to report", .bad) }
        if total == 0 { return ("The driver has no PersistentVolumes", .plain) }
        let healthy = "\(health.healthyVolumes) of \(total) volumes \(Self.are(health.healthyVolumes)) healthy"
        if health.healthyVolumes == total { return (healthy, .good) }
        guard health.staleVolumes == 0 else {
            return ("\(healthy), \(health.staleVolumes) \(Self.are(health.staleVolumes)) stale", .bad)
        }
        return ("\(healthy), none is unhealthy", .plain)
    }

    private static func are(_ count: Int) -> String { count == 1 ? "is" : "are" }

    /// nil where the health of the volumes is not known.
    private var claims: StatusPage.Table? {
        guard snapshot.health != nil else { return nil }
        let rows = shownClaims.map { claim in
            let conditions = claim.conditions
            return [
                claim.namespace, claim.name, StatusPage.unique(conditions.map(\.status)),
                StatusPage.unique(conditions.map(\.reason)), Self.text(claim.age),
            ]
        }
        return StatusPage.Table(
            title: "Unhealthy PersistentVolumeClaims",
            columns: ["Namespace", "Name", "Status", "Reason", "For"],
            rows: rows,
            omitted: omittedClaims,
            placeholder: "None"
        )
    }

    /// nil while the log has none.
    private var errors: StatusPage.Table? {
        guard !recentErrors.isEmpty else { return nil }
        let rows = recentErrors.map { entry in
            ["\(age(Int64(now - entry.last))) ago", "\(entry.count)", entry.message, entry.detail]
        }
        return StatusPage.Table(
            title: "Recent errors",
            columns: ["Last", "Times", "Error", "Reason"],
            rows: rows,
            placeholder: ""
        )
    }

    private var driver: StatusPage.Facts {
        var facts = [StatusPage.Fact("Name", driverName)]
        if !snapshot.driverVersion.isEmpty { facts.append(.init("Version", snapshot.driverVersion)) }
        facts.append(snapshot.isDriverConnected ? .init("Connected", "yes", .good) : .init("Connected", "no", .bad))
        guard let health = snapshot.health else { return StatusPage.Facts(title: "CSI driver", facts: facts) }
        if let method = health.method { facts.append(Self.probed(by: method)) }
        if let interval = health.probeInterval ?? readiness.monitor?.sweepInterval {
            facts.append(.init("Interval", GoDuration(.seconds(interval.components.seconds)).description))
        }
        if let problem = health.listProblem { facts.append(.init("List", problem, .bad)) }
        if health.isAbsenceSuspected { facts.append(.init("Mass absence", "suspected", .bad)) }
        if let (outage, age) = health.outage {
            facts.append(.init("Outage", outage.summary(since: date(age).rfc3339), .bad))
        }
        return StatusPage.Facts(title: "CSI driver", facts: facts)
    }

    private static func probed(by method: HealthSnapshot.Method) -> StatusPage.Fact {
        switch method.generation {
        case "legacy": .init("Probed by", "\(method.name) (VolumeCondition, up to CSI 1.12)")
        case "health": .init("Probed by", "\(method.name) (CSI 1.13)")
        default: .init("Probed by", "no RPC: the driver reports no health", .bad)
        }
    }

    private var volumes: StatusPage.Facts? {
        guard let health = snapshot.health else { return nil }
        let sweep = readiness.monitor?.sweepAge.map { "\(Self.text($0)) ago" } ?? "none in this term"
        return StatusPage.Facts(
            title: "Volumes",
            facts: [
                .init("Healthy", "\(health.healthyVolumes)", health.healthyVolumes > 0 ? .good : .plain),
                .init("Unhealthy", "\(health.unhealthyVolumes)", health.unhealthyVolumes > 0 ? .bad : .plain),
                .init("Stale", "\(health.staleVolumes)", health.staleVolumes > 0 ? .bad : .plain),
                .init("Unknown", "\(health.unknownVolumes)"),
                .init("Last sweep", sweep),
            ]
        )
    }

    private var reports: StatusPage.Facts? {
        guard let health = snapshot.health else { return nil }
        return StatusPage.Facts(
            title: "Reports",
            facts: [
                .init("Events queued", Self.text(health.events)),
                .init("Statuses queued", Self.text(health.statuses)),
                .init("status.healthStatus", health.isStatusSupported ? "supported" : "not supported"),
            ]
        )
    }

    private var replica: StatusPage.Facts {
        var facts = [StatusPage.Fact("Role", role.text)]
        if let lease = snapshot.lease { facts.append(.init("Lease", lease.name)) }
        facts.append(readiness.isReady ? .init("Ready", "yes", .good) : .init("Ready", "no", .bad))
        facts.append(.init("Up", Self.text(uptime)))
        return StatusPage.Facts(title: "This replica", facts: facts)
    }

    private static func text(_ backlog: HealthSnapshot.Backlog) -> String {
        backlog.depth == 0 ? "0" : "\(backlog.depth), the oldest for \(text(backlog.oldest))"
    }

    private static func text(_ duration: Duration) -> String { age(duration.components.seconds) }
}

extension ControllerPage.Role {
    fileprivate var text: String {
        switch self {
        case .leader: "leader"
        case .standby: "standby"
        case .starting: "not a candidate yet"
        case .single: "without leader election"
        }
    }
}
