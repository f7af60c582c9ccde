// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import Logging

extension Reporter {
    /// Reads back what earlier processes reported (rule 9): the last event of every claim. The watch shows the claims'
    /// status.
    ///
    /// - Returns: whether it succeeded; false after a minute of failures.
    /// - Throws: only `CancellationError`.
    func restore() async throws -> Bool {
        let recorded = try await history.withinLimits {
            (claims: try await readBack(), outage: try await readBackOutage())
        }
        if let recorded {
            restore(recorded.claims)
            restore(recorded.outage)
            return true
        }
        context.logger.error(
            "Failed to read back events, continuing with the claims' status: events may be recorded again"
        )
        let gaveUp = context.now
        context.state.update { $0.restoreFromStatuses(except: [], at: gaveUp, wall: Time.now().seconds) }
        return false
    }

    /// Retries after ``restore()`` gave up, until it succeeds; then waits for the cancellation.
    ///
    /// - Note: A recovery that is reported between the list of events and its use counts as not reported, and is
    ///   recorded once more.
    /// - Throws: only `CancellationError`.
    func restoreLater() async throws {
        let recorded = try await history.later { (claims: try await readBack(), outage: try await readBackOutage()) }
        restore(recorded.claims)
        restore(recorded.outage)
        try await suspendUntilCancelled()
    }

    private func readBack() async throws -> RecordedHistory {
        let reasons = [
            EventVocabulary.abnormalReason, EventVocabulary.normalReason, EventVocabulary.unknownReason,
            EventVocabulary.healthUnknownReason,
        ]
        var recorded = try await read(reasons, into: RecordedHistory(component: events.component))
        // For each list the API server scans all events of the cluster: this one is needed only if unresponsive volumes
        // were reported.
        if !recorded.responses.isEmpty {
            recorded = try await read([EventVocabulary.healthKnownReason], into: recorded)
        }
        return recorded
    }

    private func read(_ reasons: [String], into recorded: RecordedHistory) async throws -> RecordedHistory {
        try await history.read(
            kind: PersistentVolumeClaim.resource.kind,
            component: events.component,
            reasons: reasons,
            into: recorded
        ) { $0.add($1, isCached: isCached(claimOf: $1)) }
    }

    /// Whether the cache has the claim on which an event was recorded.
    func isCached(claimOf event: Event) -> Bool {
        let claim = ClaimIdentity(event)
        return context.state.withLock { $0.hasClaim(at: claim.key, uid: claim.uid) }
    }

    private func restore(_ recorded: RecordedHistory) {
        let restored = context.now
        context.state.update { $0.restore(recorded, at: restored) }
        context.logger.debug(
            "Read back events",
            metadata: ["claims": .stringConvertible(recorded.volumes.count)]
        )
    }
}
