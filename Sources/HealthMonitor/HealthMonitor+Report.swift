// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import Logging
import VolumeHealth

extension HealthMonitor {
    /// Tells what is to be told, one announcement after the other, for ever.
    func report(from state: MonitorState) async throws {
        let recorder = EventRecorder(client: kubernetes)
        while true {
            let asked = now
            switch state.withReconciler({ $0.next(at: asked) }) {
            case .wait(let due):
                try await state.reportable.wait(until: due.map(instant(at:)), clock: clock)
            case .tell(let announcement):
                let outcome = try await tell(announcement, by: recorder)
                let settled = now
                state.withReconciler { $0.settle(announcement, outcome, at: settled) }
            }
        }
    }

    private func tell(_ announcement: Announcement, by recorder: EventRecorder) async throws -> ReportOutcome {
        let event = EventRecord(
            announcement,
            component: EventVocabulary.component(driverName: configuration.driverName),
            instance: configuration.identity
        )
        var metadata: Logger.Metadata = [
            "claim": "\(announcement.claim.key.namespace)/\(announcement.claim.key.name)",
            "volumeHandle": "\(announcement.volumeHandle)",
            "reason": "\(event.reason)",
        ]
        do {
            let count = try await recorder.record(event)
            metadata["count"] = "\(count)"
            metadata["message"] = "\(event.message)"
            logger.info("Told the claim", metadata: metadata)
            return .told
        } catch {
            try Task.checkCancellation()
            let outcome = ReportOutcome(error)
            metadata["error"] = "\(error)"
            if outcome == .gone {
                logger.debug("The claim's namespace is going or gone: nobody to tell", metadata: metadata)
            } else {
                logger.warning("Could not tell the claim, trying again", metadata: metadata)
            }
            return outcome
        }
    }
}

extension EventRecord {
    /// The event that tells an announcement, in EHM's words.
    init(_ announcement: Announcement, component: String, instance: String) {
        let isWell = announcement.conditions.isEmpty
        let reason = isWell ? EventVocabulary.normalReason : EventVocabulary.abnormalReason
        let messages = announcement.conditions.map(\.message).filter { !$0.isEmpty }.joined(separator: "; ")
        self.init(
            name: EventName.make(
                claim: announcement.claim,
                component: component,
                reason: reason,
                conditions: announcement.conditions
            ),
            involvedObject: ObjectReference(announcement.claim),
            type: isWell ? .normal : .warning,
            reason: reason,
            message: isWell
                ? EventVocabulary.normalMessage
                : messages.isEmpty ? EventVocabulary.abnormalMessageFallback : messages,
            component: component,
            instance: instance,
            time: .now()
        )
    }
}

extension ObjectReference {
    init(_ claim: Claim) {
        self.init()
        kind = PersistentVolumeClaim.resource.kind
        apiVersion = PersistentVolumeClaim.resource.apiVersion
        namespace = claim.key.namespace
        name = claim.key.name
        uid = claim.uid
        resourceVersion = claim.resourceVersion
    }
}

extension ReportOutcome {
    /// What a failed request means for the announcement, and for the others.
    init(_ error: KubernetesError) {
        switch error.code {
        case .notFound, .namespaceTerminating: self = .gone
        // Only this event is wrong; the next may be right.
        case .invalid, .badRequest, .conflict, .alreadyExists: self = .refused
        // An overloaded server, a missing rule, no connection: it would be the same for every other announcement.
        default: self = error.isCertainlyUnserved ? .unreachable(retryAfter: error.retryAfter) : .unanswered
        }
    }
}
