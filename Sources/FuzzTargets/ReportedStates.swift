// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import FoundationEssentials
import HealthCore
import HealthRuntime
import KubernetesClient

/// What claims were reported of their volumes in one way, checked from outside.
struct ReportedStates {
    private struct Reported {
        /// nil: nothing, or that it has passed.
        var state: VolumeState?
        var time: Duration
        /// The answer was lost, so the claim may know something else.
        var isUncertain = false
    }

    /// How long the same lasts before it is reported once more; nil: it is not.
    private let refreshInterval: Duration?
    private var reported: [String: Reported] = [:]

    private init(refreshInterval: Duration?) {
        self.refreshInterval = refreshInterval
    }

    static var events: ReportedStates { ReportedStates(refreshInterval: .seconds(1800)) }

    /// What was written stays; the watch shows it.
    static var fields: ReportedStates { ReportedStates(refreshInterval: nil) }

    mutating func forget(_ uid: String) {
        reported[uid] = nil
    }

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
            try require(known.isUncertain || news(state) != news(known.state), "reported twice: \(uid): \(state)")
        case .refresh:
            try require(!state.isClear, "a recovery is reported again: \(uid)")
            try require(news(state) == news(known.state), "other news are no refresh: \(uid): \(state)")
            let interval = state == known.state ? refreshInterval : .seconds(600)
            try require(interval.map { now - known.time >= $0 } ?? false, "reported again too soon: \(uid): \(state)")
        }
        switch outcome {
        case .reported: known = Reported(state: state.isClear ? nil : state, time: now)
        case .unanswered, .failed, .refused, .unreachable:
            if outcome.isUncertain { known.isUncertain = known.isUncertain || news(state) != news(known.state) }
        case .gone: if refreshInterval != nil { known = Reported(state: nil, time: .zero) }
        }
        reported[uid] = known
    }

    private func news(_ state: VolumeState?) -> Fingerprint? {
        state.flatMap { $0.isClear ? nil : $0.fingerprint }
    }

    private func requireBounds(_ state: VolumeState) throws(InvariantViolation) {
        try state.conditions.requireBounds()
    }
}

/// What claims were reported of conditions of unknown types: each once, and not too many.
struct RecordedUnknownConditions {
    private var reported: [String: Set<Fingerprint>] = [:]

    mutating func forget(_ uid: String) {
        reported[uid] = nil
    }

    mutating func report(
        _ pendingReport: PendingReport<UnknownConditionKey, UnknownConditionState, Claim>,
        _ outcome: ReportOutcome
    ) throws(InvariantViolation) {
        let uid = pendingReport.claim.uid
        let fingerprint = pendingReport.state.fingerprint
        try require(pendingReport.key.fingerprint == fingerprint, "an unknown condition is reported as another one")
        try require(reported[uid]?.contains(fingerprint) != true, "an unknown condition is reported twice: \(uid)")
        try pendingReport.state.condition.requireBounds()
        if outcome == .reported { reported[uid, default: []].insert(fingerprint) }
        // Then the claim is forgotten, and what it was reported with it.
        if outcome == .gone { reported[uid]?.remove(fingerprint) }
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
    /// What the API server takes, in the order in which it is reported.
    func requireBounds() throws(InvariantViolation) {
        try require(count <= 16, "\(count) conditions of a volume")
        for condition in self {
            try require((1...256).contains(condition.reason.utf8.count), "a reason of \(condition.reason.utf8.count)")
            try require(condition.message.utf8.count <= 1024, "a message of \(condition.message.utf8.count) bytes")
        }
        try require(Set(map(\.identity)).count == count, "a condition twice: \(self)")
        try require(zip(self, dropFirst()).allSatisfy { $0.status >= $1.status }, "the worst is not first: \(self)")
    }
}

extension PendingReport<ClaimNumber, VolumeState, Claim> {
    /// The event that reports it is one that the API server takes, and is recognised later.
    func requireEventBounds() throws(InvariantViolation) {
        let component = EventVocabulary.component(driverName: WatchedCluster.driverName)
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
        try require(read == state.fingerprint, "an event is not recognised by its name: \(name)")
        let message = EventRecord.bounded(EventVocabulary.abnormalMessage(state.conditions))
        try require(message.utf8.count <= 1024, "an event's message of \(message.utf8.count) bytes")
    }

    /// The patch that writes it is JSON, and has the texts unchanged.
    func requirePatch() throws(InvariantViolation) {
        let patch = MergePatch.healthStatus(
            state.conditions,
            uid: claim.uid,
            resourceVersion: claim.resourceVersion,
            transition: since.components.seconds
        )
        guard let written = try? JSONDecoder().decode(WrittenClaim.self, from: Data(patch.json)) else {
            throw InvariantViolation(message: "a patch is no JSON: \(String(decoding: patch.json, as: UTF8.self))")
        }
        let conditions = written.status.healthStatus?.healthConditions ?? []
        try require(
            conditions.elementsEqual(state.conditions) {
                $0.status == $1.status.rawValue && $0.reason.utf8.elementsEqual($1.reason.utf8)
                    && $0.message.utf8.elementsEqual($1.message.utf8)
            },
            "a patch says something else: \(conditions), not \(state)"
        )
    }
}

/// What a patch of a claim's status says.
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
