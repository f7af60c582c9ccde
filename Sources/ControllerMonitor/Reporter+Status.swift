// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging

extension Reporter {
    /// Updates the status of claims where it does not show the current state, until cancelled.
    func updateStatuses() async throws {
        let state = context.state
        try await dispatcher.run(.status, wakeUp: state.statuses) { now in
            state.next { $0.nextStatus(at: now) }
        } complete: { report, outcome, now in
            state.withLock { $0.complete(status: report, outcome, at: now) }
        } send: { report in
            try await update(report)
        }
    }

    private func update(
        _ report: PendingReport<ClaimNumber, VolumeState, Claim>
    ) async throws -> ReportAttempt {
        let metadata: Logger.Metadata = [
            "PVC": report.claim.key.logValue
        ]
        do {
            return ReportAttempt(try await updateOnce(report, metadata))
        } catch {
            try Task.checkCancellation()
            let outcome = ReportOutcome(error)
            if outcome == .gone { return ReportAttempt(.gone) }
            return ReportAttempt(
                outcome,
                "Failed to update the claim's status, retrying",
                metadata.merging(["err": "\(error)"]) { $1 }
            )
        }
    }

    /// Updates the claim's status; after a conflict, from the claim as the API server returns it.
    ///
    /// - Throws: `conflict` when other clients keep changing the claim.
    private func updateOnce(
        _ report: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ metadata: Logger.Metadata
    ) async throws(KubernetesError) -> ReportOutcome {
        let key = report.claim.key
        for attempt in 1... {
            do {
                return try await applyChange(for: report, metadata)
            } catch {
                guard error.code == .conflict, attempt < 5, context.gate.isLeading else { throw error }
            }
            let fresh: WatchedClaim
            do {
                fresh = try await context.kubernetes.get(name: key.name, namespace: key.namespace)
            } catch {
                guard error.code == .forbidden else { throw error }
                context.logger.warning(
                    "Failed to get a claim that has changed, its status is updated after the watch shows the change",
                    metadata: metadata.merging(["err": "\(error)"]) { $1 }
                )
                return .refused
            }
            if fresh.claim.uid != report.claim.uid { return .gone }
            accept(fresh)
        }
        return .refused
    }

    /// Writes what the claim's status lacks: the field, the condition, or both, one after the other.
    ///
    /// - Throws: `invalid` when the field was dropped from this claim alone.
    private func applyChange(
        for report: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ metadata: Logger.Metadata
    ) async throws(KubernetesError) -> ReportOutcome {
        var isDropped = false
        func change() -> StatusChange? {
            context.state.withLock { $0.statusChange(for: report, isFieldDropped: isDropped) }
        }
        let since = context.state.withLock { $0.since(report) }

        if let change = change(), let field = change.field, try await keepsField(of: change), context.gate.isLeading {
            let written = try await patch(change.claim, field, since: since)
            accept(written)
            if !field.conditions.isEmpty {
                setKeepsField(written.hasHealthStatus, in: change.claim.key.namespace)
                isDropped = !written.hasHealthStatus && context.state.withLock { $0.keepsHealthStatus } == true
            }
            context.logger.info("Updated status.healthStatus", metadata: metadata)
        }
        // The change again: the first write may have changed the claim, and shown whether the API server keeps the
        // field.
        guard let change = change() else { return .gone }
        if let condition = change.condition {
            guard context.gate.isLeading else { return .refused }
            let patch = MergePatch.condition(
                condition,
                of: change.claim,
                transition: wallClockSeconds(at: since),
                now: Time.now().seconds
            )
            let written: WatchedClaim = try await context.kubernetes.patch(
                name: change.claim.key.name,
                namespace: change.claim.key.namespace,
                patch,
                kind: .strategicMerge,
                subresource: "status"
            )
            accept(written)
            context.logger.info("Updated claim condition", metadata: metadata)
        }
        if isDropped {
            throw KubernetesError(
                code: .invalid,
                message: "the API server keeps status.healthStatus of other claims, but not of this one: look for an "
                    + "admission webhook that removes it, or enable the feature gate CSIVolumeHealth again"
            )
        }
        return .reported
    }

    func patch(
        _ claim: Claim,
        _ field: StatusChange.Field,
        since: Duration,
        dryRun: Bool = false
    ) async throws(KubernetesError) -> WatchedClaim {
        try await context.kubernetes.patch(
            name: claim.key.name,
            namespace: claim.key.namespace,
            .healthStatus(
                field.conditions,
                uid: claim.uid,
                resourceVersion: claim.resourceVersion,
                transition: field.isTransition ? wallClockSeconds(at: since) : nil
            ),
            subresource: "status",
            dryRun: dryRun
        )
    }

    /// Passes on what a write returned, which may be ahead of the watch.
    func accept(_ claim: WatchedClaim) {
        let received = context.now
        let needsMaintenance = context.state.withLock { state in
            state.written(
                claim.claim,
                volumeName: claim.volumeName,
                healthStatus: claim.healthStatus,
                healthTransition: claim.healthTransition,
                condition: claim.condition,
                at: received
            )
            return state.needsStatusMaintenance
        }
        if needsMaintenance { context.state.maintenance.signal() }
    }

    /// The wall clock time, in seconds since 1970, at this moment of the monitor's clock.
    func wallClockSeconds(at time: Duration) -> Int64 {
        Time.now().seconds - (context.now - time).components.seconds
    }
}
