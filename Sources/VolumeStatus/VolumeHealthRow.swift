// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The health of one claim: a line of the table.
package struct VolumeHealthRow: Sendable, Hashable {
    /// In increasing order of severity.
    package enum Status: String, Sendable, Hashable, Comparable, CaseIterable {
        case healthy = "Healthy"
        /// The driver does not respond to health calls for the volume.
        case unknown = "Unknown"
        case degraded = "Degraded"
        case inaccessible = "Inaccessible"
        case dataLoss = "DataLoss"

        package init(_ status: VolumeHealthCondition.Status) {
            self =
                switch status {
                case .degraded: .degraded
                case .inaccessible: .inaccessible
                case .dataLoss: .dataLoss
                }
        }

        /// Whether the volume is unhealthy: not if its health is only unknown.
        package var isUnhealthy: Bool { self > .unknown }

        package static func < (left: Self, right: Self) -> Bool {
            left.severity < right.severity
        }

        private var severity: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    package var claim: ObjectName
    package var status: Status
    /// Of the worst condition; empty for a healthy volume.
    package var reason = ""
    package var message = ""
    /// All conditions, the worst first.
    package var conditions: [VolumeHealthCondition] = []
    /// In seconds since 1970.
    package var since: Int64?
    /// nil: unknown. Empty: the volume has no CSI driver, or the claim has no volume.
    package var driver: String?
    /// The names of the pods that use the claim, sorted; nil: unknown.
    package var pods: [String]?
    /// The nodes of these pods, sorted, or else the node that reports the condition.
    package var nodes: [String] = []
    package var volumeName = ""
    /// nil for a healthy volume.
    package var source: HealthFinding.Source?
}

extension VolumeHealthRow {
    /// - Parameters:
    ///   - finding: nil for a healthy volume.
    ///   - driver: from the PersistentVolume; nil: unknown.
    ///   - pods: that use the claim; nil: unknown.
    init(_ claim: ListedClaim, _ finding: HealthFinding?, driver: String?, pods: [ListedPod]?) {
        self.claim = claim.name
        volumeName = claim.volumeName
        status = finding?.status ?? .healthy
        self.driver = driver ?? finding?.driver
        self.pods = pods?.map(\.name.name).sorted()
        nodes = Set((pods ?? []).map(\.nodeName).filter { !$0.isEmpty }).sorted()
        guard let finding else { return }
        source = finding.source
        since = finding.since
        conditions = finding.conditions
        if let worst = conditions.first {
            (reason, message) = (worst.reason, worst.message)
        } else {
            reason = EventVocabulary.healthUnknownReason
            message = "The CSI driver does not respond to health calls for this volume"
        }
        if nodes.isEmpty, let node = finding.node { nodes = [node] }
    }

    /// Whether this row is listed before another one: the worst first, then by name.
    package func precedes(_ other: VolumeHealthRow) -> Bool {
        status == other.status ? claim < other.claim : status > other.status
    }
}
