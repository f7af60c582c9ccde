// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI

/// The health of the claims in a snapshot. Pure.
///
/// A claim's health comes from the first of these that says something: `status.healthStatus`, the claim condition
/// (unless it is True and an event is later), the events on the claim; if they do not say that the volume is unhealthy,
/// the events on pods, `status.volumeHealth` and the conditions of pods.
package struct StatusReport: Sendable {
    /// All claims, the worst first.
    package var rows: [VolumeHealthRow]
    /// By name. Claims without a CSI volume have no driver.
    package var drivers: [DriverSummary]
    /// Whether a controller of any driver renews its Lease; nil: this user may not list Leases.
    package var isAnyLeaseRenewed: Bool?
    /// Whether a controller or an agent of any driver has recently recorded or refreshed an event.
    package var hasRecentEvent: Bool
    /// How many claims, of those that nothing reports as unhealthy, have a condition of an unknown type or an event on
    /// one.
    package var unknownConditions: Int
    /// The drivers that a claim, a PersistentVolume or an event has, sorted.
    package var foundDrivers: [String]
    /// The driver whose claims alone were requested; nil for all.
    package var selectedDriver: String?

    /// The rows of claims that are not healthy.
    package var notHealthy: ArraySlice<VolumeHealthRow> { rows.prefix { $0.status > .healthy } }

    /// - Parameters:
    ///   - driver: only claims of this driver, and those whose driver is unknown; nil for all.
    ///   - leaseName: the name of the Lease of a driver's controllers.
    ///   - now: the wall clock, in seconds since 1970.
    package init(
        _ snapshot: ClusterSnapshot,
        driver: String? = nil,
        leaseName: (_ driver: String) -> String,
        now: Int64
    ) {
        let events = HealthEvents(snapshot)
        let findings = Findings(snapshot, events)
        let pods = snapshot.pods.map(Self.podsByClaim)
        rows = snapshot.claims.values.map { claim in
            VolumeHealthRow(
                claim,
                findings.finding(of: claim),
                driver: Self.driver(of: claim, snapshot) ?? events.driver(of: claim.name),
                pods: pods.map { $0[claim.name] ?? [] }
            )
        }
        selectedDriver = driver
        foundDrivers = Self.drivers(of: rows, snapshot, events)
        if let driver { rows.removeAll { $0.driver != nil && $0.driver != driver } }
        rows.sort { $0.precedes($1) }
        let unknown = events.unknownConditions.union(Self.claimsWithUnknownConditions(snapshot))
        unknownConditions = rows.count { $0.status == .healthy && unknown.contains($0.claim) }
        isAnyLeaseRenewed = snapshot.leases.map { $0.contains { ControllerLease.isRenewed($0, now: now) } }
        let recentDrivers = events.recentDrivers(now: now)
        hasRecentEvent = !recentDrivers.isEmpty
        let names = foundDrivers
        drivers = Self.summaries(rows, of: names, leases: snapshot.leases, leaseName, now: now).map { summary in
            var summary = summary
            summary.hasRecentEvent = recentDrivers.contains(summary.name)
            return summary
        }
    }

    /// Whether a driver has claims or volumes, as far as this user may know.
    package func mayExist(_ driver: String) -> Bool {
        foundDrivers.contains(driver) || rows.contains { $0.driver == nil }
    }

    private static func drivers(
        of rows: [VolumeHealthRow],
        _ snapshot: ClusterSnapshot,
        _ events: HealthEvents
    ) -> [String] {
        var drivers = Set(events.lastTimes.keys)
        for row in rows { if let driver = row.driver { drivers.insert(driver) } }
        for volume in (snapshot.volumes ?? [:]).values { drivers.insert(volume.driver) }
        return drivers.subtracting([""]).sorted()
    }

    /// Empty for a claim without a CSI volume; nil if this user may not read the PersistentVolume, or if it is gone.
    private static func driver(of claim: ListedClaim, _ snapshot: ClusterSnapshot) -> String? {
        guard !claim.volumeName.isEmpty else { return "" }
        guard let volumes = snapshot.volumes else { return nil }
        // A volume that is gone, or newer than the list of volumes, may have been one of any driver.
        return volumes[claim.volumeName]?.driver
    }

    /// Those whose status, or that of a pod, has a condition of a type that this version does not know.
    private static func claimsWithUnknownConditions(_ snapshot: ClusterSnapshot) -> [ObjectName] {
        let onClaims = snapshot.claims.values.filter(\.hasUnknownCondition).map(\.name)
        let onPods = (snapshot.pods ?? [:]).values.filter { !$0.hasEnded }.flatMap { pod in
            pod.volumeHealth.filter(\.hasUnknownCondition).compactMap { health in
                pod.claims[health.volume].map { ObjectName(pod.name.namespace, $0) }
            }
        }
        return onClaims + onPods
    }

    private static func podsByClaim(_ pods: [ObjectName: ListedPod]) -> [ObjectName: [ListedPod]] {
        var byClaim: [ObjectName: [ListedPod]] = [:]
        for pod in pods.values where !pod.hasEnded {
            for claim in Set(pod.claims.values) {
                byClaim[ObjectName(pod.name.namespace, claim), default: []].append(pod)
            }
        }
        return byClaim
    }

    /// - Parameter names: all drivers, also those that no row has: the Leases of one may begin with the name of another's.
    private static func summaries(
        _ rows: [VolumeHealthRow],
        of names: [String],
        leases: [Lease]?,
        _ leaseName: (_ driver: String) -> String,
        now: Int64
    ) -> [DriverSummary] {
        var summaries: [String: DriverSummary] = [:]
        for row in rows {
            guard let driver = row.driver, !driver.isEmpty else { continue }
            summaries[driver, default: DriverSummary(name: driver)].add(row)
        }
        let leaseNames = Set(names.map(leaseName))
        return summaries.values.sorted { $0.name < $1.name }.map { summary in
            var summary = summary
            let own = leaseName(summary.name)
            let longer = leaseNames.filter { $0 != own && $0.hasPrefix(own) }
            summary.lease = leases.map { leases in
                // The Leases of controllers that run on each node end in the node's name.
                let leases = leases.filter { lease in
                    let name = lease.metadata.name
                    return name == own || name.hasPrefix("\(own)-") && !longer.contains { name.hasPrefix($0) }
                }
                return ControllerLease(leases, now: now)
            }
            return summary
        }
    }
}

/// What each source says of each claim.
private struct Findings {
    private var onClaims: [ObjectName: HealthFinding] = [:]
    private var onPods: [ObjectName: HealthFinding] = [:]

    init(_ snapshot: ClusterSnapshot, _ events: HealthEvents) {
        for (claim, finding) in events.findings() {
            if finding.source == .claimEvent {
                Self.keepWorse(&onClaims[claim], finding)
            } else {
                Self.keepWorse(&onPods[claim], finding)
            }
        }
        for pod in (snapshot.pods ?? [:]).values where !pod.hasEnded {
            for health in pod.volumeHealth {
                guard let claim = pod.claims[health.volume], let finding = HealthFinding(health, of: pod) else {
                    continue
                }
                Self.keepWorse(&onPods[ObjectName(pod.name.namespace, claim)], finding)
            }
        }
        for pod in (snapshot.pods ?? [:]).values where !pod.hasEnded {
            for condition in pod.conditions { add(condition, of: pod, events) }
        }
    }

    /// A condition counts where nothing else of the same pods says more: it has one volume of the pod only.
    /// It keeps its text while another volume is unhealthy for the same reason: then it says nothing of one that has
    /// recovered since.
    private mutating func add(_ condition: HealthyCondition, of pod: ListedPod, _ events: HealthEvents) {
        guard let report = PodVolumeReport(condition.message),
            let claim = report.claim ?? pod.claims[report.volume],
            let finding = HealthFinding(
                condition,
                source: .podCondition,
                message: report.text,
                driver: String(condition.type.dropLast(ListedPod.conditionSuffix.count)),
                node: pod.nodeName.isEmpty ? nil : pod.nodeName
            )
        else { return }
        let name = ObjectName(pod.name.namespace, claim)
        if let recovery = events.recovery(onPod: pod.name.name, of: name), recovery > condition.transition ?? 0 {
            return
        }
        if onPods[name].map({ $0.source == .podCondition || $0.conditions.isEmpty }) ?? true {
            Self.keepWorse(&onPods[name], finding)
        }
    }

    func finding(of claim: ListedClaim) -> HealthFinding? {
        let fromController = finding(onClaim: claim)
        if let fromController, !fromController.conditions.isEmpty { return fromController }
        return onPods[claim.name].flatMap { $0.conditions.isEmpty ? nil : $0 } ?? fromController ?? onPods[claim.name]
    }

    private func finding(onClaim claim: ListedClaim) -> HealthFinding? {
        if let finding = HealthFinding(healthStatusOf: claim) { return finding }
        if let condition = claim.condition {
            if condition.isTrue {
                // A later event outweighs it: the condition stays where it may no longer be written.
                return onClaims[claim.name].flatMap { finding in
                    let isLater = (finding.last ?? .min) > (condition.transition ?? .max)
                    return finding.conditions.isEmpty || isLater ? finding : nil
                }
            }
            let finding = HealthFinding(condition, source: .claimCondition, message: condition.message)
            if let finding { return finding }
        }
        return onClaims[claim.name]
    }

    private static func keepWorse(_ kept: inout HealthFinding?, _ finding: HealthFinding) {
        guard let old = kept else {
            kept = finding
            return
        }
        // Of equals the older one, and of these the first by every other difference: the result depends on no order.
        let (new, since) = (finding.since ?? .max, old.since ?? .max)
        let isFirst = new != since ? new < since : finding.sortKey.lexicographicallyPrecedes(old.sortKey)
        if finding.status > old.status || finding.status == old.status && isFirst { kept = finding }
    }
}

extension HealthFinding {
    fileprivate var sortKey: [String] {
        [node ?? "", driver ?? "", source.rawValue] + conditions.flatMap { [$0.reason, $0.message] }
    }
}
