// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import KubernetesClient
import Logging
package import VolumeHealth

extension HealthMonitor {
    /// Writes the status of claims where it does not show what it should, until it is cancelled.
    func writeStatuses(from state: MonitorState) async throws {
        try await report(.status, wakeUp: state.statuses) { now in
            state.withHealthState { $0.nextStatus(at: now) }
        } complete: { pendingReport, outcome, now in
            state.withHealthState { $0.complete(status: pendingReport, outcome, at: now) }
        } report: { pendingReport in
            try await write(pendingReport, state)
        }
    }

    private func write(
        _ pendingReport: PendingReport<ClaimNumber, VolumeState>,
        _ state: MonitorState
    ) async throws -> ReportAttempt {
        let metadata: Logger.Metadata = [
            "PVC": pendingReport.claim.key.logValue
        ]
        do {
            return ReportAttempt(try await writeOnce(pendingReport, state, metadata))
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

    /// Brings the claim's status up to date, from the claim as the server has it after a conflict.
    ///
    /// - Throws: `conflict` when others keep changing the claim.
    private func writeOnce(
        _ pendingReport: PendingReport<ClaimNumber, VolumeState>,
        _ state: MonitorState,
        _ metadata: Logger.Metadata
    ) async throws(KubernetesError) -> ReportOutcome {
        let key = pendingReport.claim.key
        for attempt in 1... {
            do {
                return try await applyChange(for: pendingReport, state, metadata)
            } catch {
                guard error.code == .conflict, attempt < 5, isLeading() else { throw error }
            }
            let fresh: WatchedClaim
            do {
                fresh = try await kubernetes.get(name: key.name, namespace: key.namespace)
            } catch {
                guard error.code == .forbidden else { throw error }
                logger.warning(
                    "Failed to get a claim that has changed, its status is updated after the watch shows the change",
                    metadata: metadata.merging(["err": "\(error)"]) { $1 }
                )
                return .refused
            }
            if fresh.claim.uid != pendingReport.claim.uid { return .gone }
            accept(fresh, state)
        }
        return .refused
    }

    /// Writes what the claim's status lacks: the field, the condition, or both, one after the other.
    private func applyChange(
        for pendingReport: PendingReport<ClaimNumber, VolumeState>,
        _ state: MonitorState,
        _ metadata: Logger.Metadata
    ) async throws(KubernetesError) -> ReportOutcome {
        func change() -> StatusChange? { state.withHealthState { $0.statusChange(for: pendingReport) } }

        if let change = change(), let field = change.field, try await isKept(change, state), isLeading() {
            let written = try await patch(change.claim, field, since: pendingReport.since)
            accept(written, state)
            if !field.conditions.isEmpty { keep(written.hasHealthStatus, state) }
            logger.info("Updated status.healthStatus", metadata: metadata)
        }
        // As it is after the first write, and with what that has shown of the server.
        guard let change = change() else { return .gone }
        if let condition = change.condition {
            guard isLeading() else { return .refused }
            let patch = MergePatch.condition(
                condition,
                of: change.claim,
                transition: wallClockSeconds(at: pendingReport.since),
                now: Time.now().seconds
            )
            let written: WatchedClaim = try await kubernetes.patch(
                name: change.claim.key.name,
                namespace: change.claim.key.namespace,
                patch,
                kind: .strategicMerge,
                subresource: "status"
            )
            accept(written, state)
            logger.info("Updated claim condition", metadata: metadata)
        }
        return .reported
    }

    private func patch(
        _ claim: Claim,
        _ field: StatusChange.Field,
        since: Duration,
        dryRun: Bool = false
    ) async throws(KubernetesError) -> WatchedClaim {
        try await kubernetes.patch(
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

    private func accept(_ claim: WatchedClaim, _ state: MonitorState) {
        let received = now
        let needsMaintenance = state.withHealthState { healthState in
            healthState.written(
                claim.claim,
                volumeName: claim.volumeName,
                healthStatus: claim.healthStatus,
                condition: claim.condition,
                at: received
            )
            return healthState.needsStatusMaintenance
        }
        if needsMaintenance { state.maintenance.signal() }
    }

    /// The wall clock, in seconds since 1970, at this time of the monitor's clock.
    private func wallClockSeconds(at time: Duration) -> Int64 {
        Time.now().seconds - (now - time).components.seconds
    }
}

// MARK: What the API server keeps

extension HealthMonitor {
    /// Whether the API server keeps the field, as far as is known, or else as a dry run of this change shows. A server
    /// without the field drops it, and still writes what it drops to `managedFields`: a dry run leaves no trace.
    private func isKept(_ change: StatusChange, _ state: MonitorState) async throws(KubernetesError) -> Bool {
        guard let field = change.field else { return false }
        guard field.isUncertain else { return true }
        do {
            let answer = try await patch(change.claim, field, since: now, dryRun: true)
            keep(answer.hasHealthStatus, state)
            return answer.hasHealthStatus
        } catch {
            // An admission webhook with side effects refuses dry runs: the write itself has to show it.
            guard error.code == .badRequest else { throw error }
            return true
        }
    }

    private func keep(_ isKept: Bool, _ state: MonitorState) {
        if !isKept { observer(.statusWriteDropped) }
        let found = now
        guard state.update({ $0.setKeepsHealthStatus(isKept, at: found) }), state.isFirst(keepsStatus: isKept) else {
            return
        }
        logger.notice(
            isKept
                ? "The API server keeps status.healthStatus of claims"
                : """
                The API server does not keep status.healthStatus of claims, which needs Kubernetes 1.37 and its feature \
                gate CSIVolumeHealth
                """,
            metadata: ["claimCondition": "\(configuration.claimConditions.rawValue)"]
        )
    }

    /// While the API server does not keep the field, finds out again and again whether it still does not
    /// (``SupportReview``), and removes conditions that have been healthy for a day. Until it is cancelled.
    func maintainStatuses(of state: MonitorState) async throws {
        var support = SupportReview()
        var nextRemoval: Duration?
        while true {
            let (isNeeded, isKept) = state.withHealthState { ($0.needsStatusMaintenance, $0.keepsHealthStatus) }
            guard isNeeded else {
                support = SupportReview()
                await state.maintenance.wait()
                try Task.checkCancellation()
                continue
            }
            try await clock.sleep(for: isKept == true ? SupportReview.versionInterval : support.pause(at: now))
            try await haltUnlessLeading()
            if isKept != true { try await review(&support, state) }
            if nextRemoval.map({ now >= $0 }) ?? true {
                nextRemoval = now + .seconds(3600)
                try await removeOutdatedConditions(state)
            }
        }
    }

    private func review(_ support: inout SupportReview, _ state: MonitorState) async throws {
        if support.isVersionDue(at: now) {
            do {
                support.observe(serverVersion: try await kubernetes.serverVersion(), at: now)
            } catch {
                try Task.checkCancellation()
                logger.debug("Failed to get the API server's version", metadata: ["err": "\(error)"])
            }
        }
        guard support.isTrialDue(at: now), let change = state.withHealthState({ $0.trialStatusChange }) else { return }
        do {
            _ = try await isKept(change, state)
        } catch {
            try Task.checkCancellation()
            logger.debug("Failed to find out whether status.healthStatus is kept", metadata: ["err": "\(error)"])
        }
    }

    private func removeOutdatedConditions(_ state: MonitorState) async throws {
        let (seconds, _) = ClaimCondition.retention.components
        let claims = state.withHealthState { $0.outdatedConditions(before: Time.now().seconds - seconds) }
        for claim in claims {
            try await haltUnlessLeading()
            do {
                let written: WatchedClaim = try await kubernetes.patch(
                    name: claim.key.name,
                    namespace: claim.key.namespace,
                    .condition(.remove, of: claim, transition: 0, now: 0),
                    kind: .strategicMerge,
                    subresource: "status"
                )
                accept(written, state)
            } catch {
                try Task.checkCancellation()
                logger.debug(
                    "Failed to remove an outdated condition, retrying in an hour",
                    metadata: ["PVC": claim.key.logValue, "err": "\(error)"]
                )
            }
        }
    }
}

/// When to find out again whether the API server keeps `status.healthStatus`: soon at first, for a server that has just
/// started may not know its features, then every ten minutes, and whenever its version is another one.
struct SupportReview: Sendable {
    /// How often to look at the version.
    static let versionInterval = Duration.seconds(60)
    private static let timing = ReportTiming(
        refreshInterval: nil,
        messageInterval: nil,
        maximumBackoff: .seconds(600)
    )

    private var version: String?
    private var nextVersion: Duration?
    private var trials = 0
    private var nextTrial: Duration?

    /// How long to wait until anything is due.
    mutating func pause(at now: Duration) -> Duration {
        let trial = nextTrial ?? now + Self.timing.backoff(afterFailures: 1)
        nextTrial = trial
        return max(min(trial, nextVersion ?? trial) - now, .zero)
    }

    /// Whether to read the version now.
    mutating func isVersionDue(at now: Duration) -> Bool {
        guard nextVersion.map({ now >= $0 }) ?? true else { return false }
        nextVersion = now + Self.versionInterval
        return true
    }

    /// The API server has this version.
    mutating func observe(serverVersion: String, at now: Duration) {
        if version != nil, version != serverVersion { (trials, nextTrial) = (0, now) }
        version = serverVersion
    }

    /// Whether to find out now.
    mutating func isTrialDue(at now: Duration) -> Bool {
        guard let nextTrial, now >= nextTrial else { return false }
        trials += 1
        self.nextTrial = now + Self.timing.backoff(afterFailures: trials + 1)
        return true
    }
}

// MARK: Patches

extension MergePatch {
    /// Replaces the conditions of `status.healthStatus`, or removes it; fails when the claim is another one or was
    /// changed. Without `transition`, in seconds since 1970, the time that stands there stays.
    package static func healthStatus(
        _ conditions: [VolumeHealth.VolumeHealthCondition],
        uid: String,
        resourceVersion: String,
        transition: Int64?
    ) -> MergePatch {
        var healthStatus: MergePatch.Value = nil
        if !conditions.isEmpty {
            let list = MergePatch.Value.array(
                conditions.map { condition in
                    [
                        "status": .string(condition.status.rawValue),
                        "reason": .string(condition.reason),
                        "message": .string(condition.message),
                    ]
                }
            )
            healthStatus =
                if let transition {
                    ["healthConditions": list, "lastTransitionTime": .string(EventRecord.timestamp(transition))]
                } else {
                    ["healthConditions": list]
                }
        }
        return [
            "metadata": ["uid": .string(uid), "resourceVersion": .string(resourceVersion)],
            "status": ["healthStatus": healthStatus],
        ]
    }

    /// A strategic merge patch that sets or removes the condition of ours in `status.conditions`, whose elements are merged
    /// by `type`; fails when the claim is another one or was changed.
    ///
    /// - Parameters:
    ///   - transition: `lastTransitionTime` of a change of the condition's status, in seconds since 1970.
    ///   - now: `lastProbeTime`, in seconds since 1970.
    static func condition(
        _ change: StatusChange.Condition,
        of claim: Claim,
        transition: Int64,
        now: Int64
    ) -> MergePatch {
        let element: MergePatch.Value
        switch change {
        case .remove:
            element = ["$patch": "delete", "type": .string(ClaimCondition.type)]
        case .set(let condition, let isTransition):
            var members: [(String, MergePatch.Value)] = [
                ("type", .string(ClaimCondition.type)),
                ("status", condition.isHealthy ? "True" : "False"),
                ("reason", .string(condition.reason)),
                ("message", .string(condition.message)),
                ("lastProbeTime", .string(EventRecord.timestamp(now))),
            ]
            if isTransition { members.append(("lastTransitionTime", .string(EventRecord.timestamp(transition)))) }
            element = .object(MergePatch(members))
        }
        return [
            "metadata": ["uid": .string(claim.uid), "resourceVersion": .string(claim.resourceVersion)],
            "status": ["conditions": [element]],
        ]
    }
}

extension VolumeHealthStatus {
    /// In the terms of the core. One in a status that we do not know, which only another program can have written,
    /// counts as none.
    package var conditions: [VolumeHealth.VolumeHealthCondition] {
        healthConditions.compactMap { .init(status: $0.status, reason: $0.reason, message: $0.message) }
    }
}

extension VolumeHealth.VolumeHealthCondition {
    /// nil where the status is none that we know.
    init?(status: String, reason: String, message: String) {
        guard let status = Status(rawValue: status) else { return nil }
        self.init(status: status, reason: reason, message: message)
    }
}
