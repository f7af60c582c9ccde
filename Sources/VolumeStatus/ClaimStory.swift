// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
package import KubernetesAPI
import KubernetesClient

/// What is known of one claim, and what happened to it in the order of time. Pure.
package struct ClaimStory: Sendable, Hashable {
    /// A line about the present.
    package struct Fact: Sendable, Hashable {
        package var name: String
        package var value: String
    }

    package struct Entry: Sendable, Hashable {
        /// In seconds since 1970.
        package var time: Int64
        package var text: String
    }

    package private(set) var facts: [Fact] = []
    /// The oldest first.
    package private(set) var entries: [Entry] = []

    /// - Parameters:
    ///   - snapshot: with this claim alone, its volume, the pods of its namespace, the health events of these pods, and
    ///     all events of the claim.
    ///   - nodes: the nodes of the claim's pods by name; nil: unknown.
    ///   - leaseName: the name of the Lease of a driver's controllers.
    ///   - now: in seconds since 1970.
    /// - Returns: nil if the snapshot does not have the claim.
    package init?(
        of name: ObjectName,
        _ snapshot: ClusterSnapshot,
        nodes: [String: Node]?,
        leaseName: (_ driver: String) -> String,
        now: Int64
    ) {
        guard let claim = snapshot.claims[name] else { return nil }
        let report = StatusReport(snapshot, leaseName: leaseName, now: now)
        guard let row = report.rows.first(where: { $0.claim == name }) else { return nil }
        let pods = (snapshot.pods ?? [:]).values.filter { pod in
            pod.name.namespace == name.namespace && pod.claims.values.contains(name.name)
        }.sorted { $0.name < $1.name }
        addHealth(row, hasUnknown: report.unknownConditions > 0, now: now)
        addFacts(claim, row, snapshot, pods, nodes, report.drivers.first)
        addEntries(of: claim)
        for pod in pods { addEntries(of: pod, claim: name.name) }
        for event in (snapshot.events ?? [:]).values where Self.isAbout(event, claim, pods, snapshot) { add(event) }
        for node in (nodes ?? [:]).values { addEntries(of: node) }
        entries.sort { ($0.time, $0.text) < ($1.time, $1.text) }
    }

    private mutating func addHealth(_ row: VolumeHealthRow, hasUnknown: Bool, now: Int64) {
        let since = row.since.map { " for \(age(ageInSeconds(of: $0, now: now)))" } ?? ""
        switch row.status {
        case .healthy:
            let value = hasUnknown ? "a condition of a type that this version does not know" : "nothing is reported"
            facts.append(Fact(name: "Health", value: value))
        case .unknown: facts.append(Fact(name: "Health", value: "unknown\(since): \(row.message)"))
        default:
            for (number, condition) in row.conditions.enumerated() {
                let text = "\(condition.status.rawValue) (\(condition.reason))\(number == 0 ? since : "")"
                facts.append(
                    Fact(
                        name: number == 0 ? "Health" : "",
                        value: text + (condition.message.isEmpty ? "" : ": \(condition.message)")
                    )
                )
            }
        }
        if let source = row.source { facts.append(Fact(name: "Source", value: source.text)) }
    }

    private mutating func addFacts(
        _ claim: ListedClaim,
        _ row: VolumeHealthRow,
        _ snapshot: ClusterSnapshot,
        _ pods: [ListedPod],
        _ nodes: [String: Node]?,
        _ driver: DriverSummary?
    ) {
        let phase = claim.phase.isEmpty ? "" : ", \(claim.phase)"
        facts.append(Fact(name: "Claim", value: "\(claim.name)\(phase)"))
        let handle = snapshot.volumes?[claim.volumeName]?.handle ?? ""
        facts.append(
            Fact(
                name: "Volume",
                value: claim.volumeName.isEmpty
                    ? "none yet" : claim.volumeName + (handle.isEmpty ? "" : ", handle \(handle)")
            )
        )
        facts.append(
            Fact(name: "Driver", value: row.driver.map { $0.isEmpty ? "not a CSI volume" : $0 } ?? "unknown")
        )
        let monitor =
            switch driver?.isMonitored {
            case true?: "found"
            case false?:
                (driver?.lease?.lapse ?? "no controller was found")
                    + ": only an agent on the node would report an unhealthy volume"
            case nil: "unknown"
            }
        facts.append(Fact(name: "Monitor", value: monitor))
        if snapshot.pods == nil {
            facts.append(Fact(name: "Pods", value: "unknown: listing them is forbidden"))
        } else if pods.isEmpty {
            facts.append(Fact(name: "Pods", value: "none uses the claim"))
        }
        for (number, pod) in pods.enumerated() {
            var value = "\(pod.name.name), \(pod.phase)"
            if !pod.nodeName.isEmpty {
                value += ", on node \(pod.nodeName)"
                if let node = nodes?[pod.nodeName] { value += node.isReady ? " (Ready)" : " (not Ready)" }
            }
            facts.append(Fact(name: number == 0 ? "Pods" : "", value: value))
        }
    }

    private mutating func addEntries(of claim: ListedClaim) {
        add(claim.created, "The claim was created")
        if let transition = claim.healthTransition {
            let conditions = Self.summary(claim.healthConditions, hasUnknown: claim.hasUnknownCondition)
            let became =
                conditions.isEmpty ? "status.healthStatus was emptied" : "status.healthStatus became \(conditions)"
            add(transition, became)
        }
        if let condition = claim.condition { add(condition) }
    }

    private mutating func addEntries(of pod: ListedPod, claim: String) {
        let node = pod.nodeName.isEmpty ? "" : ", now on node \(pod.nodeName)"
        add(pod.created, "Pod \(pod.name.name) was created\(node)")
        for health in pod.volumeHealth where pod.claims[health.volume] == claim {
            let conditions = Self.summary(health.conditions, hasUnknown: health.hasUnknownCondition)
            add(health.transition ?? 0, "Pod \(pod.name.name): status.volumeHealth became \(conditions)")
        }
        for condition in pod.conditions { add(condition, of: "Pod \(pod.name.name): ") }
    }

    private static func summary(_ conditions: [HealthCore.VolumeHealthCondition], hasUnknown: Bool) -> String {
        let known = conditions.isEmpty ? [] : [conditions.summary]
        return (known + (hasUnknown ? ["a condition of an unknown status"] : [])).joined(separator: "; ")
    }

    private mutating func addEntries(of node: Node) {
        guard let ready = node.status.conditions.first(where: { $0.type == "Ready" }) else { return }
        let became = node.isReady ? "became Ready" : "stopped being Ready (\(ready.status))"
        add(ready.lastTransitionTime.seconds, "Node \(node.metadata.name) \(became)")
    }

    private mutating func add(_ condition: HealthyCondition, of subject: String = "") {
        guard let transition = condition.transition else { return }
        let status = condition.isTrue ? "True" : condition.isFalse ? "False" : "Unknown"
        let text = "\(subject)the condition \(condition.type) became \(status) (\(condition.reason))"
        add(
            transition,
            text.prefix(1).uppercased() + text.dropFirst() + (condition.message.isEmpty ? "" : ": \(condition.message)")
        )
    }

    private mutating func add(_ event: ListedEvent) {
        let subject = event.kind == "Pod" ? "on pod \(event.object) " : ""
        let component = event.component.isEmpty ? "An unnamed component" : event.component
        let place = event.host.isEmpty ? "" : " on node \(event.host)"
        var text = "\(component)\(place) recorded \(subject)\(event.reason): \(event.message)"
        if event.count > 1, event.last > event.first {
            text += " (\(event.count) times since \(EventRecord.timestamp(event.first)))"
        }
        add(event.last, text)
    }

    private mutating func add(_ time: Int64, _ text: String) {
        if time > 0 { entries.append(Entry(time: time, text: text)) }
    }

    /// Whether an event is on the claim, or about its volume on one of its pods.
    private static func isAbout(
        _ event: ListedEvent,
        _ claim: ListedClaim,
        _ pods: [ListedPod],
        _ snapshot: ClusterSnapshot
    ) -> Bool {
        guard event.name.namespace == claim.name.namespace else { return false }
        if event.kind == "PersistentVolumeClaim" {
            return event.object == claim.name.name && (event.objectUID.isEmpty || event.objectUID == claim.uid)
        }
        guard event.kind == "Pod", let report = PodVolumeReport(event.message) else { return false }
        if let named = report.claim { return named == claim.name.name }
        return pods.contains { $0.name.name == event.object && $0.claims[report.volume] == claim.name.name }
    }
}

extension HealthFinding.Source {
    fileprivate var text: String {
        switch self {
        case .healthStatus: "status.healthStatus of the claim"
        case .claimCondition: "condition \(ListedClaim.conditionType) of the claim"
        case .claimEvent: "event on the claim"
        case .podEvent: "event on a pod"
        case .podVolumeHealth: "status.volumeHealth of a pod"
        case .podCondition: "condition of a pod"
        }
    }
}

extension Node {
    fileprivate var isReady: Bool {
        status.conditions.contains { $0.type == "Ready" && $0.status == "True" }
    }
}

extension ClaimStory {
    /// The facts, an empty line, and the entries with their times and ages.
    package func text(now: Int64) -> String {
        var text = ""
        for fact in facts {
            text += Self.padded(fact.name.isEmpty ? "" : "\(fact.name):", 10) + printable(fact.value) + "\n"
        }
        guard !entries.isEmpty else { return text }
        let ages = entries.map { age(ageInSeconds(of: $0.time, now: now)) }
        let width = max(3, ages.map(\.count).max() ?? 0) + 3
        text += "\n" + Self.padded("TIME", 23) + Self.padded("AGE", width) + "WHAT\n"
        for (entry, age) in zip(entries, ages) {
            text +=
                Self.padded(EventRecord.timestamp(entry.time), 23) + Self.padded(age, width) + printable(entry.text)
                + "\n"
        }
        return text
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
