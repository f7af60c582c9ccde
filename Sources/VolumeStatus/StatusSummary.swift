// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
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
        let isEveryDriverMonitored = report.drivers.allSatisfy { $0.isMonitored == true }
        let isDriverUnknown = rows.contains { $0.driver == nil }
        let missing: [(String, ListedEvent)] = report.drivers.compactMap { driver in
            let lease = snapshot.leases?.first { $0.metadata.name == leaseName(driver.name) }
            let leader = lease?.spec.acquireTime.seconds
            return HealthEvents.missingVolumes(of: driver.name, in: snapshot.driverEvents ?? [], leader: leader)
                .map { (driver.name, $0) }
        }
        // A new leader may not have found yet what an earlier one has recorded.
        let mayMissVolumes = report.drivers.contains { driver in
            HealthEvents.missingVolumes(of: driver.name, in: snapshot.driverEvents ?? [], leader: nil) != nil
        }
        addTotals(
            report,
            rows,
            namespace: namespace,
            // Some controllers report by events alone.
            isHealthKnown: isEveryDriverMonitored && !isDriverUnknown && snapshot.events != nil && snapshot.pods != nil
                && !mayMissVolumes && report.unknownConditions == 0
        )
        for (driver, event) in missing { warnings.append("\(driver): \(event.message)") }
        if report.unknownConditions > 0 {
            let claims = report.unknownConditions == 1 ? "1 claim has" : "\(report.unknownConditions) claims have"
            let scope = namespace.map { "-n \($0)" } ?? "-A"
            warnings.append(
                """
                \(claims) a condition of a type that this version does not know, or had one recently: see the claim's \
                status, or kubectl get events \(scope) --field-selector reason=\(EventVocabulary.unknownReason)
                """
            )
        }
        let others = warnings.count
        addWarnings(report, rows, leaseName: leaseName, canReadEvents: snapshot.events != nil)
        addNotes(
            report,
            rows,
            snapshot,
            namespace: namespace,
            isMonitorUnknown: warnings.count == others && (!isEveryDriverMonitored || isDriverUnknown)
        )
    }

    /// - Parameter isHealthKnown: whether a claim that is not reported as unhealthy is healthy.
    private mutating func addTotals(
        _ report: StatusReport,
        _ rows: [VolumeHealthRow],
        namespace: String?,
        isHealthKnown: Bool
    ) {
        let place = namespace.map { " in namespace \($0)" } ?? ""
        let unhealthy = rows.count { $0.status.isUnhealthy }
        let unknown = rows.count { $0.status == .unknown }
        let others = report.rows.count - rows.count
        let subject = "\(rows.count) \(rows.count == 1 ? "claim" : "claims")"
        switch (rows.count, unhealthy, unknown) {
        case (0, _, _): totals.append("No claims with CSI volumes found\(place).")
        case (1, 0, 0) where isHealthKnown: totals.append("The only claim\(place) is healthy.")
        case (_, 0, 0) where isHealthKnown: totals.append("All \(subject)\(place) are healthy.")
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
        leaseName: (String) -> String,
        canReadEvents: Bool
    ) {
        let events =
            canReadEvents
            ? "no event of the last 40 minutes is of a controller or an agent" : "events may not be listed"
        let advice = """
            Run csi-health-monitor beside the driver's controller. If it runs, check its log and run \
            csi-health-monitor doctor in its container: without --leader-election and while all volumes are healthy, it \
            leaves no trace in the cluster. \(Self.agentAdvice)
            """
        for driver in report.drivers where driver.isMonitored == false {
            let claims = driver.claims == 1 ? "1 claim" : "\(driver.claims) claims"
            if let lapse = driver.lease?.lapse {
                warnings.append(
                    """
                    No controller of \(driver.name) is running (\(claims)): \(lapse). Start it, or check its log and \
                    run csi-health-monitor doctor in its container; if it now runs without --leader-election, delete \
                    the Lease. \(Self.agentAdvice)
                    """
                )
            } else {
                warnings.append(
                    """
                    No controller of \(driver.name) was found (\(claims)): there is no Lease \(leaseName(driver.name)), \
                    and \(events). \(advice)
                    """
                )
            }
        }
        guard rows.contains(where: { $0.driver == nil }), !report.hasRecentEvent, report.isAnyLeaseRenewed == false
        else { return }
        warnings.append(
            "No controller was found: no Lease \(ControllerLease.namePrefix)* is renewed, and \(events). \(advice)"
        )
    }

    private static let agentAdvice = """
        An agent on the nodes leaves no trace while its volumes are healthy: \
        kubectl get daemonset -A -l app.kubernetes.io/name=csi-health-monitor-agent
        """

    /// - Parameter isMonitorUnknown: whether it is unknown, for some claims, if anything monitors them.
    private mutating func addNotes(
        _ report: StatusReport,
        _ rows: [VolumeHealthRow],
        _ snapshot: ClusterSnapshot,
        namespace: String?,
        isMonitorUnknown: Bool
    ) {
        func note(_ resource: Resource, _ namespace: String?, _ text: String) {
            let request = RequestInfo(verb: .list, resource: resource, namespace: namespace)
            notes.append("\(text): \(request) is forbidden; the RBAC rule for it is \(request.rbacRule)")
        }
        if snapshot.events == nil {
            note(Event.resource, namespace, "Conditions that only events report are not shown")
        }
        if snapshot.volumes == nil {
            note(
                PersistentVolume.resource,
                nil,
                "DRIVER is known only from events, and without it no claim counts as monitored"
            )
        }
        if snapshot.pods == nil {
            note(
                Pod.resource,
                namespace,
                "PODS is unknown, NODE known only from events, and conditions that only pods have are not shown"
            )
        }
        if snapshot.leases == nil, isMonitorUnknown {
            note(Lease.resource, nil, "A claim may be listed as healthy because nothing monitors it")
        }
        let unknown = rows.count { $0.driver == nil }
        if let driver = report.selectedDriver, unknown > 0 {
            notes.append(
                "\(unknown == 1 ? "1 claim" : "\(unknown) claims") of an unknown driver may not be of \(driver)"
            )
        }
    }
}
