// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import VolumeHealth

/// What a running monitor knows, for metrics and health pages.
public struct HealthSnapshot: Sendable {
    /// A claim whose volume is not well.
    public struct AdverseClaim: Sendable, Hashable {
        /// `metadata.namespace`
        public var namespace: String
        /// `metadata.name`
        public var name: String
        /// Each status once: `Degraded`, `Inaccessible`, `DataLoss`.
        public var statuses: Set<String>
    }

    /// What waits for the API server.
    public struct Backlog: Sendable, Hashable {
        /// How many.
        public var depth: Int
        /// How long the oldest is so and not told; zero when there is none.
        public var oldest: Duration
    }

    /// Claims whose volumes are not well.
    public var adverseClaims: [AdverseClaim]
    /// Volumes of which the driver says that nothing is wrong.
    public var healthyVolumes: Int
    /// Volumes of which it says that something is wrong.
    public var adverseVolumes: Int
    /// Volumes of which it has said nothing yet, or nothing that is understood.
    public var unknownVolumes: Int
    /// Events.
    public var events: Backlog
    /// Status fields.
    public var statuses: Backlog
    /// What a driver that does not tell the health of its volumes would have to offer; nil for one that does.
    public var missingCapabilities: String?
}

extension HealthSnapshot {
    init(_ reconciler: borrowing Reconciler, isDriverSupported: Bool, at now: Duration) {
        adverseClaims = reconciler.adverseClaims.map { claim, state in
            AdverseClaim(
                namespace: claim.key.namespace,
                name: claim.key.name,
                statuses: Set(state.conditions.map(\.status.rawValue))
            )
        }
        let counts = reconciler.healthCounts
        healthyVolumes = counts[.healthy, default: 0]
        adverseVolumes = counts[.adverse, default: 0]
        unknownVolumes = counts[.unknown, default: 0]
        events = Backlog(reconciler.eventBacklog, at: now)
        statuses = Backlog(reconciler.statusBacklog, at: now)
        missingCapabilities = isDriverSupported ? nil : ProbeStrategy.missingCapabilities
    }
}

extension HealthSnapshot.Backlog {
    init(_ backlog: (depth: Int, oldest: Duration?), at now: Duration) {
        self.init(depth: backlog.depth, oldest: backlog.oldest.map { now - $0 } ?? .zero)
    }
}

/// Something that metrics count.
public enum MonitorObservation: Sendable, Hashable {
    /// All volumes were asked for: a complete list, or an interval in which no volume was left out.
    case sweepCompleted(duration: Duration)
    /// The driver told a condition of a type that is not known; as often as it tells it.
    case unknownCondition(type: Int)
    /// The driver told a condition without a reason; as often as it tells it.
    case unspecifiedReason
    /// The API server has no place for a claim's health: it answered and left it out.
    case statusWriteDropped
}
