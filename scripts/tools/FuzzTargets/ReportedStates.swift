// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import FoundationEssentials
import HealthCore
import HealthRuntime
import KubernetesClient

/// What was reported on claims by events or by status, recorded independently of the queue, to check each further
/// report of ``MonitoredCluster``.
struct ReportedStates {
    private struct Reported {
        /// nil before the first report and after a recovery.
        var state: VolumeState?
        var time: Duration
        /// Whether a response was lost, so that the API server may show another state.
        var isUncertain = false
    }

    /// How long an unchanged state lasts before it is reported again; nil: it is reported once.
    private let refreshInterval: Duration?
    /// By the claim's uid.
    private var reported: [String: Reported] = [:]

    private init(refreshInterval: Duration?) {
        self.refreshInterval = refreshInterval
    }

    /// The event of a lasting state is refreshed every 30 minutes (rule 8).
    static var events: ReportedStates { ReportedStates(refreshInterval: .seconds(1800)) }

    /// A written status stays: there is nothing to refresh.
    static var fields: ReportedStates { ReportedStates(refreshInterval: nil) }

    /// The claim was deleted.
    mutating func forget(_ uid: String) {
        reported[uid] = nil
    }

    /// Checks a report that the queue hands out, and records its outcome.
    mutating func report(
        _ pendingReport: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) throws(InvariantViolation) {
        let uid = pendingReport.claim.uid
        let state = pendingReport.state
        var known = reported[uid] ?? Reported(state: nil, time: .zero)
        try requireBounds(state)
        switch pendingReport.cause {
        case .transition:
            let isChange = fingerprint(of: state) != fingerprint(of: known.state)
            try require(known.isUncertain || isChange, "reported twice: \(uid): \(state)")
        case .refresh:
            try require(!state.isClear, "a recovery is reported again: \(uid)")
            let isChange = fingerprint(of: state) != fingerprint(of: known.state)
            try require(!isChange, "a change is reported as a refresh: \(uid): \(state)")
            // Changed messages are reported after 10 minutes.
            let interval = state == known.state ? refreshInterval : .seconds(600)
            try require(interval.map { now - known.time >= $0 } ?? false, "reported again too soon: \(uid): \(state)")
        }
        switch outcome {
        case .reported: known = Reported(state: state.isClear ? nil : state, time: now)
        case .failed, .refused, .unreachable:
            let isChange = fingerprint(of: state) != fingerprint(of: known.state)
            if outcome.isUncertain, isChange { known.isUncertain = true }
        // An event on a claim that still exists counts as reported. The claim's status remains as the watch showed it last.
        case .gone: if refreshInterval != nil { known = Reported(state: state.isClear ? nil : state, time: now) }
        }
        reported[uid] = known
    }

    private func fingerprint(of state: VolumeState?) -> Fingerprint? {
        state.flatMap { $0.isClear ? nil : $0.fingerprint }
    }

    private func requireBounds(_ state: VolumeState) throws(InvariantViolation) {
        try state.conditions.requireBounds()
    }
}

/// The conditions of unknown types that were reported on claims: each once, and at most 16 on a claim.
struct RecordedUnknownConditions {
    /// By the claim's uid.
    private var reported: [String: Set<Fingerprint>] = [:]

    /// The claim was deleted.
    mutating func forget(_ uid: String) {
        reported[uid] = nil
    }

    /// Checks a report that the queue hands out, and records its outcome.
    mutating func report(
        _ pendingReport: PendingReport<UnknownConditionKey, UnknownCondition, Claim>,
        _ outcome: ReportOutcome
    ) throws(InvariantViolation) {
        let uid = pendingReport.claim.uid
        let fingerprint = pendingReport.state.fingerprint
        try require(pendingReport.key.fingerprint == fingerprint, "an unknown condition is reported as another one")
        try require(reported[uid]?.contains(fingerprint) != true, "an unknown condition is reported twice: \(uid)")
        try pendingReport.state.requireBounds()
        if outcome == .reported { reported[uid, default: []].insert(fingerprint) }
        try require((reported[uid]?.count ?? 0) <= 16, "more than 16 unknown conditions are reported of \(uid)")
    }
}

// MARK: Bounds

extension VolumeHealthReport {
    func requireBounds() throws(InvariantViolation) {
        try conditions.requireBounds()
        try require(unknownConditions.count <= 16, "\(unknownConditions.count) unknown conditions of a volume")
        for condition in unknownConditions { try condition.requireBounds() }
    }
}

extension UnknownCondition {
    func requireBounds() throws(InvariantViolation) {
        try require((1...256).contains(reason.utf8.count), "a reason of \(reason.utf8.count) bytes")
        try require(message.utf8.count <= 1024, "a message of \(message.utf8.count) bytes")
    }
}

extension [VolumeHealthCondition] {
    /// Requires conditions that the API server accepts, without duplicates, and the worst first.
    func requireBounds() throws(InvariantViolation) {
        try require(count <= 16, "\(count) conditions of a volume")
        for condition in self {
            try require((1...256).contains(condition.reason.utf8.count), "a reason of \(condition.reason.utf8.count)")
            try require(condition.message.utf8.count <= 1024, "a message of \(condition.message.utf8.count) bytes")
        }
        try require(Set(map(\.identity)).count == count, "a duplicate condition: \(self)")
        try require(zip(self, dropFirst()).allSatisfy { $0.status >= $1.status }, "the worst is not first: \(self)")
    }
}

extension PendingReport<ClaimNumber, VolumeState, Claim> {
    /// Requires that the API server accepts the event, and that the fingerprint can be read from its name.
    func requireEventBounds() throws(InvariantViolation) {
        let component = EventVocabulary.controllerComponent(driverName: WatchedCluster.driverName)
        let reason = EventVocabulary.abnormalReason
        let name = EventName.make(
            object: claim.key.name,
            uid: claim.uid,
            component: component,
            reason: reason,
            fingerprint: state.fingerprint
        )
        try require(name.utf8.count <= 253, "an event's name of \(name.utf8.count) bytes")
        let read = EventName.fingerprint(in: name, uid: claim.uid, component: component, reason: reason)
        try require(read == state.fingerprint, "the event's name has another fingerprint: \(name)")
        let message = EventRecord.bounded(EventVocabulary.abnormalMessage(state.conditions))
        try require(message.utf8.count <= 1024, "an event's message of \(message.utf8.count) bytes")
    }

    /// Requires that the patch is JSON and that its conditions are those of the report, byte for byte.
    func requirePatch() throws(InvariantViolation) {
        let patch = MergePatch.healthStatus(
            state.conditions,
            uid: claim.uid,
            resourceVersion: claim.resourceVersion,
            transition: since.components.seconds
        )
        guard let written = try? JSONDecoder().decode(WrittenClaim.self, from: Data(patch.json)) else {
            throw InvariantViolation(message: "a patch is not JSON: \(String(decoding: patch.json, as: UTF8.self))")
        }
        let conditions = written.status.healthStatus?.healthConditions ?? []
        try require(
            conditions.elementsEqual(state.conditions) {
                $0.status == $1.status.rawValue && $0.reason.utf8.elementsEqual($1.reason.utf8)
                    && $0.message.utf8.elementsEqual($1.message.utf8)
            },
            "a patch has other conditions: \(conditions), not \(state)"
        )
    }
}

/// A patch of a claim's status, decoded.
private struct WrittenClaim: Decodable {
    struct Status: Decodable {
        struct HealthStatus: Decodable {
            struct Condition: Decodable {
                var status: String
                var reason: String
                var message: String
            }

            var healthConditions: [Condition]
        }

        var healthStatus: HealthStatus?
    }

    var status: Status
}
