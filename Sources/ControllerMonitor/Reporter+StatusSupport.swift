// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging

/// What the API server keeps of a claim's status, and what is no longer needed of it.
extension Reporter {
    /// Whether the API server keeps the field, as is known already or as a dry run of this change shows. An API
    /// server without the field drops it but still records it in `managedFields`: a dry run leaves no trace.
    func keepsField(of change: StatusChange) async throws(KubernetesError) -> Bool {
        guard let field = change.field else { return false }
        guard field.isUncertain else { return true }
        do {
            let response = try await patch(change.claim, field, since: context.now, dryRun: true)
            setKeepsField(response.hasHealthStatus, in: change.claim.key.namespace)
            return response.hasHealthStatus
        } catch {
            // An admission webhook with side effects refuses dry runs: the write itself shows it.
            guard error.code == .badRequest else { throw error }
            return true
        }
    }

    func setKeepsField(_ isKept: Bool, in namespace: String) {
        if !isKept { context.observer(.statusWriteDropped) }
        let found = context.now
        guard context.state.update({ $0.healthStatusReturned(isKept: isKept, in: namespace, at: found) }),
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
                support.suspend()
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
        guard support.isTrialDue(at: context.now), let trial = context.state.withLock({ $0.nextStatusTrial() }) else {
            return
        }
        do {
            try await attempt(trial)
        } catch {
            try Task.checkCancellation()
            context.logger.debug(
                "Failed to find out whether status.healthStatus is kept",
                metadata: ["PVC": trial.claim.key.logValue, "err": "\(error)"]
            )
        }
    }

    /// Finds out whether the API server keeps the field, by a dry run or, where that is refused, by the write itself.
    private func attempt(_ trial: StatusTrial) async throws(KubernetesError) {
        guard try await keepsField(of: trial.change), context.gate.isLeading,
            context.state.withLock({ $0.keepsHealthStatus }) != true
        else { return }
        let written = try await patch(trial.claim, trial.field, since: trial.since)
        accept(written)
        setKeepsField(written.hasHealthStatus, in: trial.claim.key.namespace)
    }

    /// Removes the conditions that are outdated, one after the other. A namespace in which a request fails is left for
    /// the next hour, so that one whose admission webhook does not respond costs the others one timeout.
    private func removeOutdatedConditions() async throws {
        let (seconds, _) = ClaimCondition.retention.components
        let claims = context.state.withLock { $0.outdatedConditions(before: Time.now().seconds - seconds) }
        var failing: Set<String> = []
        for claim in claims where !failing.contains(claim.key.namespace) {
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
                if case .failed = ReportOutcome(error) { failing.insert(claim.key.namespace) }
                context.logger.debug(
                    "Failed to remove an outdated condition, retrying in an hour",
                    metadata: ["PVC": claim.key.logValue, "err": "\(error)"]
                )
                if ReportOutcome(error) == .unreachable { return }
            }
        }
    }
}
