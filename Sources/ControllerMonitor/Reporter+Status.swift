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
    private func applyChange(
        for report: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ metadata: Logger.Metadata
    ) async throws(KubernetesError) -> ReportOutcome {
        func change() -> StatusChange? { context.state.withLock { $0.statusChange(for: report) } }
        let since = context.state.withLock { $0.since(report) }

        if let change = change(), let field = change.field, try await keepsField(of: change), context.gate.isLeading {
            let written = try await patch(change.claim, field, since: since)
            accept(written)
            if !field.conditions.isEmpty { setKeepsField(written.hasHealthStatus) }
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
        return .reported
    }

    private func patch(
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

    private func accept(_ claim: WatchedClaim) {
        let received = context.now
        let needsMaintenance = context.state.withLock { state in
            state.written(
                claim.claim,
                volumeName: claim.volumeName,
                healthStatus: claim.healthStatus,
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

// MARK: What the API server keeps

extension Reporter {
    /// Whether the API server keeps the field, as is known already or as a dry run of this change shows. An API
    /// server without the field drops it but still records it in `managedFields`: a dry run leaves no trace.
    private func keepsField(of change: StatusChange) async throws(KubernetesError) -> Bool {
        guard let field = change.field else { return false }
        guard field.isUncertain else { return true }
        do {
            let response = try await patch(change.claim, field, since: context.now, dryRun: true)
            setKeepsField(response.hasHealthStatus)
            return response.hasHealthStatus
        } catch {
            // An admission webhook with side effects refuses dry runs: the write itself shows it.
            guard error.code == .badRequest else { throw error }
            return true
        }
    }

    private func setKeepsField(_ isKept: Bool) {
        if !isKept { context.observer(.statusWriteDropped) }
        let found = context.now
        guard context.state.update({ $0.setKeepsHealthStatus(isKept, at: found) }),
            statusSupport.isFirst(keepsStatus: isKept)
        else {
            return
        }
        context.logger.notice(
            isKept
                ? "The API server keeps status.healthStatus of claims"
                : """
                The API server does not keep status.healthStatus of claims, which needs Kubernetes 1.37 and its feature \
                gate CSIVolumeHealth
                """,
            metadata: ["claimCondition": "\(context.configuration.claimConditions.rawValue)"]
        )
    }

    /// While the API server does not keep the field, checks again whether it does (``SupportReview``). Removes
    /// conditions that have been healthy for ``ControllerCore/ClaimCondition/retention``. Until cancelled.
    func maintainStatuses() async throws {
        var support = SupportReview()
        var nextRemoval: Duration?
        while true {
            let (isNeeded, isKept) = context.state.withLock { ($0.needsStatusMaintenance, $0.keepsHealthStatus) }
            guard isNeeded else {
                support = SupportReview()
                await context.state.maintenance.wait()
                try Task.checkCancellation()
                continue
            }
            try await context.time.sleep(
                for: isKept == true ? SupportReview.versionInterval : support.pause(at: context.now)
            )
            try await context.gate.haltUnlessLeading()
            if isKept != true { try await review(&support) }
            if nextRemoval.map({ context.now >= $0 }) ?? true {
                nextRemoval = context.now + .seconds(3600)
                try await removeOutdatedConditions()
            }
        }
    }

    private func review(_ support: inout SupportReview) async throws {
        if support.isVersionDue(at: context.now) {
            do {
                support.observe(serverVersion: try await context.kubernetes.serverVersion(), at: context.now)
            } catch {
                try Task.checkCancellation()
                context.logger.debug("Failed to get the API server's version", metadata: ["err": "\(error)"])
            }
        }
        guard support.isTrialDue(at: context.now), let change = context.state.withLock({ $0.trialStatusChange }) else {
            return
        }
        do {
            _ = try await keepsField(of: change)
        } catch {
            try Task.checkCancellation()
            context.logger.debug(
                "Failed to find out whether status.healthStatus is kept",
                metadata: ["err": "\(error)"]
            )
        }
    }

    private func removeOutdatedConditions() async throws {
        let (seconds, _) = ClaimCondition.retention.components
        let claims = context.state.withLock { $0.outdatedConditions(before: Time.now().seconds - seconds) }
        for claim in claims {
            try await context.gate.haltUnlessLeading()
            do {
                let written: WatchedClaim = try await context.kubernetes.patch(
                    name: claim.key.name,
                    namespace: claim.key.namespace,
                    .condition(.remove, of: claim, transition: 0, now: 0),
                    kind: .strategicMerge,
                    subresource: "status"
                )
                accept(written)
            } catch {
                try Task.checkCancellation()
                context.logger.debug(
                    "Failed to remove an outdated condition, retrying in an hour",
                    metadata: ["PVC": claim.key.logValue, "err": "\(error)"]
                )
            }
        }
    }
}
