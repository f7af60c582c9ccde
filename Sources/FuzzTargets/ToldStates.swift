// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HealthMonitor
import KubernetesClient
import VolumeHealth

/// What claims were told of their volumes in one way, checked from outside.
struct ToldStates {
    private struct Told {
        /// nil: nothing, or that it has passed.
        var state: VolumeState?
        var time: Duration
        /// The answer was lost, so the claim may know something else.
        var isUncertain = false
    }

    /// How long the same lasts before it is told once more; nil: it is not.
    private let refreshInterval: Duration?
    private var told: [String: Told] = [:]

    private init(refreshInterval: Duration?) {
        self.refreshInterval = refreshInterval
    }

    static var events: ToldStates { ToldStates(refreshInterval: .seconds(1800)) }

    /// What was written stays; the watch shows it.
    static var fields: ToldStates { ToldStates(refreshInterval: nil) }

    mutating func forget(_ uid: String) {
        told[uid] = nil
    }

    mutating func tell(
        _ announcement: Announcement<ClaimNumber, VolumeState>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) throws(InvariantViolation) {
        let uid = announcement.claim.uid
        let state = announcement.state
        var known = told[uid] ?? Told(state: nil, time: .zero)
        try requireBounds(state)
        switch announcement.cause {
        case .transition:
            try require(known.isUncertain || news(state) != news(known.state), "told twice: \(uid): \(state)")
        case .refresh:
            try require(!state.isClear, "a recovery is told again: \(uid)")
            try require(news(state) == news(known.state), "other news are no refresh: \(uid): \(state)")
            let interval = state == known.state ? refreshInterval : .seconds(600)
            try require(interval.map { now - known.time >= $0 } ?? false, "told again too soon: \(uid): \(state)")
        }
        switch outcome {
        case .told: known = Told(state: state.isClear ? nil : state, time: now)
        case .unanswered, .failed, .refused, .unreachable:
            if outcome.isUncertain { known.isUncertain = known.isUncertain || news(state) != news(known.state) }
        case .gone: if refreshInterval != nil { known = Told(state: nil, time: .zero) }
        }
        told[uid] = known
    }

    private func news(_ state: VolumeState?) -> Fingerprint? {
        state.flatMap { $0.isClear ? nil : $0.fingerprint }
    }

    private func requireBounds(_ state: VolumeState) throws(InvariantViolation) {
        try state.conditions.requireBounds()
    }
}

/// What claims were told of conditions of unknown types: each once, and not too many.
struct ToldUnknownConditions {
    private var told: [String: Set<Fingerprint>] = [:]

    mutating func forget(_ uid: String) {
        told[uid] = nil
    }

    mutating func tell(
        _ announcement: Announcement<UnknownConditionKey, UnknownConditionState>,
        _ outcome: ReportOutcome
    ) throws(InvariantViolation) {
        let uid = announcement.claim.uid
        let fingerprint = announcement.state.fingerprint
        try require(announcement.key.fingerprint == fingerprint, "an unknown condition is told as another one")
        try require(told[uid]?.contains(fingerprint) != true, "an unknown condition is told twice: \(uid)")
        try announcement.state.condition.requireBounds()
        if outcome == .told { told[uid, default: []].insert(fingerprint) }
        // Then the claim is forgotten, and what it was told with it.
        if outcome == .gone { told[uid]?.remove(fingerprint) }
        try require((told[uid]?.count ?? 0) <= 16, "more than 16 unknown conditions are told of \(uid)")
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
    /// What the API server takes, in the order in which it is told.
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

extension Announcement<ClaimNumber, VolumeState> {
    /// The event that tells it is one that the API server takes, and is recognised later.
    func requireEventBounds() throws(InvariantViolation) {
        let component = EventVocabulary.component(driverName: WatchedCluster.driverName)
        let reason = EventVocabulary.abnormalReason
        let name = EventName.make(claim: claim, component: component, reason: reason, fingerprint: state.fingerprint)
        try require(name.utf8.count <= 253, "an event's name of \(name.utf8.count) bytes")
        let read = EventName.fingerprint(in: name, claimUID: claim.uid, component: component, reason: reason)
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
