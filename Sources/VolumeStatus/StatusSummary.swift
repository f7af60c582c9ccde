// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient

/// What a report says in total, and what it does not know: lines for a person, below the table.
package struct StatusSummary: Sendable, Hashable {
    /// How many claims are unhealthy, and of each driver with unhealthy claims, how many of its claims.
    package private(set) var totals: [String] = []
    /// Reasons why a claim may be listed as healthy although its volume is not.
    package private(set) var warnings: [String] = []
    /// Which facts this user may not read.
    package private(set) var notes: [String] = []

    /// - Parameters:
    ///   - namespace: nil for all.
    ///   - leaseName: the name of the Lease of a driver's controllers.
    package init(
        _ report: StatusReport,
        _ snapshot: ClusterSnapshot,
        namespace: String?,
        leaseName: (_ driver: String) -> String
    ) {
        // A claim without a CSI volume has nothing that a monitor could probe.
        let rows = report.rows.filter { $0.driver != "" }
        addTotals(report, rows, namespace: namespace)
        addWarnings(report, rows, leaseName: leaseName)
        addNotes(snapshot, namespace: namespace, isMonitoringKnown: warnings.isEmpty && !report.isEveryDriverMonitored)
    }

    private mutating func addTotals(_ report: StatusReport, _ rows: [VolumeHealthRow], namespace: String?) {
        let place = namespace.map { " in namespace \($0)" } ?? ""
        let unhealthy = rows.count { $0.status.isUnhealthy }
        let unknown = rows.count { $0.status == .unknown }
        let others = report.rows.count - rows.count
        let subject = "\(rows.count) \(rows.count == 1 ? "claim" : "claims")"
        switch (rows.count, unhealthy, unknown) {
        case (0, _, _): totals.append("No claims with CSI volumes found\(place).")
        case (1, 0, 0) where report.isEveryDriverMonitored: totals.append("The only claim\(place) is healthy.")
        case (_, 0, 0) where report.isEveryDriverMonitored: totals.append("All \(subject)\(place) are healthy.")
        case (_, 0, 0): totals.append("None of \(subject)\(place) is reported as unhealthy.")
        case (_, _, 0): totals.append("\(unhealthy) of \(subject)\(place) unhealthy.")
        default: totals.append("\(unhealthy) of \(subject)\(place) unhealthy, the health of \(unknown) is unknown.")
        }
        if others > 0 { totals.append("\(others) more without a CSI volume.") }
        for driver in report.drivers where driver.unhealthy > 0 {
            let statuses = VolumeHealthRow.Status.allCases.reversed().filter(\.isUnhealthy)
                .compactMap { status in driver.byStatus[status].map { "\($0) \(status.rawValue)" } }
            let isWhole = driver.unhealthy == driver.claims && driver.claims > 1
            totals.append(
                "\(driver.name): \(isWhole ? "all " : "")\(driver.unhealthy) of \(driver.claims) claims unhealthy "
                    + "(\(statuses.joined(separator: ", ")))"
                    + (isWhole ? ": check the storage system and the driver first" : "")
            )
        }
    }

    private mutating func addWarnings(
        _ report: StatusReport,
        _ rows: [VolumeHealthRow],
        leaseName: (String) -> String
    ) {
        let trace = "no status, condition or event of a claim has been written by a monitor"
        let advice = """
            Run csi-health-monitor beside the driver's controller, or check its log if it runs: without \
            --leader-election and while all volumes are healthy, it leaves no trace in the cluster.
            """
        for driver in report.drivers where driver.isMonitored == false {
            warnings.append(
                "No monitor of \(driver.name) was found (\(driver.claims == 1 ? "1 claim" : "\(driver.claims) claims")): the Lease \(leaseName(driver.name)) "
                    + "is not renewed, and \(trace). \(advice)"
            )
        }
        guard rows.contains(where: { $0.driver == nil }), !report.hasEvidence else { return }
        if report.isAnyLeaseRenewed == false {
            warnings.append(
                "No monitor was found: no Lease \(DriverSummary.leasePrefix)* is renewed, and \(trace). \(advice)"
            )
        }
    }

    private mutating func addNotes(_ snapshot: ClusterSnapshot, namespace: String?, isMonitoringKnown: Bool) {
        func note(_ resource: Resource, _ namespace: String?, _ text: String) {
            let request = RequestInfo(verb: .list, resource: resource, namespace: namespace)
            notes.append("\(text): \(request) is forbidden; the RBAC rule for it is \(request.rbacRule)")
        }
        if snapshot.events == nil {
            note(Event.resource, namespace, "Conditions that only events report are not shown")
        }
        if snapshot.volumes == nil {
            note(PersistentVolume.resource, nil, "DRIVER is known only from events")
        }
        if snapshot.pods == nil {
            note(Pod.resource, namespace, "PODS is unknown, and NODE known only from events")
        }
        if snapshot.leases == nil, isMonitoringKnown {
            note(Lease.resource, nil, "A claim may be listed as healthy because nothing monitors it")
        }
    }
}

extension StatusReport {
    /// Whether a monitor of each driver was found. Claims of an unknown driver count as monitored if anything has been
    /// reported.
    fileprivate var isEveryDriverMonitored: Bool {
        drivers.allSatisfy { $0.isMonitored == true }
            && (hasEvidence || isAnyLeaseRenewed == true || !rows.contains { $0.driver == nil })
    }
}
