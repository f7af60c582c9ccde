// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What one source says about the health of a claim's volume.
package struct HealthFinding: Sendable, Hashable {
    package enum Source: String, Sendable, Hashable {
        /// `status.healthStatus` of the claim.
        case healthStatus
        /// The condition `csi-health-monitor/VolumeHealthy` of the claim.
        case claimCondition
        /// An event of the controller on the claim.
        case claimEvent
        /// An event of a node's agent, or of the kubelet, on a pod.
        case podEvent
        /// `status.volumeHealth` of a pod, by the kubelet.
        case podVolumeHealth
        /// The condition `DRIVER/volumes-healthy` of a pod.
        case podCondition
    }

    package var source: Source
    /// The worst first; empty if the driver does not respond to health calls for the volume.
    package var conditions: [VolumeHealthCondition]
    /// Since when, in seconds since 1970; nil if the source does not say.
    package var since: Int64?
    /// When an event was recorded or refreshed last, in seconds since 1970; nil for the other sources.
    package var last: Int64?
    /// The driver's name, if the source has it.
    package var driver: String?
    /// The node that reports it, if the source is of a node.
    package var node: String?

    var status: VolumeHealthRow.Status { conditions.first.map { .init($0.status) } ?? .unknown }
}

extension HealthFinding {
    /// From `status.healthStatus`; nil if it has no conditions.
    init?(healthStatusOf claim: ListedClaim) {
        guard !claim.healthConditions.isEmpty else { return nil }
        self.init(
            source: .healthStatus,
            // Stable: conditions of the same status keep the order of the status.
            conditions: claim.healthConditions.sorted { $0.status > $1.status },
            since: claim.healthTransition
        )
    }

    /// From `status.volumeHealth` of a pod; nil if it has no conditions.
    init?(_ health: ListedPod.VolumeHealth, of pod: ListedPod) {
        guard !health.conditions.isEmpty else { return nil }
        self.init(
            source: .podVolumeHealth,
            conditions: health.conditions.sorted { $0.status > $1.status },
            since: health.transition,
            node: pod.nodeName.isEmpty ? nil : pod.nodeName
        )
    }

    /// From a condition whose status is `False`; nil for another status.
    init?(_ condition: HealthyCondition, source: Source, message: String, driver: String? = nil, node: String? = nil) {
        guard condition.isFalse else { return nil }
        let reported = VolumeHealthCondition(report: message)
        self.init(
            source: source,
            conditions: [reported],
            since: condition.transition,
            driver: driver,
            node: node
        )
    }
}

extension VolumeHealthCondition {
    /// The worst condition in the text of an event or a claim condition: `DataLoss (BadBlocks): 7 blocks`. The message
    /// contains the conditions that follow. A text of another form is the message of a legacy driver.
    init(report: String) {
        for status in Status.allCases where report.hasPrefix("\(status.rawValue) (") {
            let rest = report.dropFirst(status.rawValue.count + 2)
            // A reason may have parentheses.
            let end = [rest.firstRange(of: "): "), rest.firstRange(of: "); ")].compactMap(\.self)
                .min { $0.lowerBound < $1.lowerBound }
            if let end {
                let message = String(rest[end.upperBound...])
                self.init(status: status, reason: String(rest[..<end.lowerBound]), message: message)
                return
            }
            guard rest.hasSuffix(")") else { continue }
            self.init(status: status, reason: String(rest.dropLast()), message: "")
            return
        }
        self.init(abnormalMessage: report)
    }
}

/// The text of an event or a condition of a node's agent, or of the kubelet: `Volume NAME (claim CLAIM): TEXT` or
/// `Volume NAME: TEXT`, where NAME is the pod's name for the volume; the agent's has all its names, separated by `, `,
/// where a pod has several for one claim.
struct PodVolumeReport: Sendable, Hashable {
    /// The first of its names.
    var volume: String
    /// nil if the text does not name it.
    var claim: String?
    var text: String

    /// What client-go, with which the kubelet records, puts before the message from the tenth different one on an object
    /// within ten minutes: `EventAggregatorByReasonMessageFunc` in tools/record/events_cache.go.
    private static let aggregatePrefix = "(combined from similar events): "

    init?(_ message: String) {
        let prefix = "Volume "
        let message =
            message.hasPrefix(Self.aggregatePrefix) ? message.dropFirst(Self.aggregatePrefix.count) : message[...]
        guard message.hasPrefix(prefix), let end = message.firstRange(of: ": ") else { return nil }
        var subject = message[..<end.lowerBound].dropFirst(prefix.count)
        text = String(message[end.upperBound...])
        if subject.hasSuffix(")"), let start = subject.firstRange(of: " (claim ") {
            claim = String(subject[start.upperBound...].dropLast())
            subject = subject[..<start.lowerBound]
        }
        let names = subject.split(separator: ", ", omittingEmptySubsequences: false)
        // Names have no spaces: this is another message.
        guard let first = names.first, names.allSatisfy({ !$0.isEmpty && !$0.contains(" ") }) else { return nil }
        volume = String(first)
    }
}
