// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import KubernetesClient
import Logging
import Synchronization
package import VolumeHealth

extension HealthMonitor {
    /// Writes `status.healthStatus` of claims where it is not what it should be, for ever.
    func writeStatuses(from state: MonitorState) async throws {
        let support = StatusSupport()
        try await report(wakeUp: state.statuses) { now in
            state.withReconciler { $0.nextStatus(at: now) }
        } settle: { announcement, outcome, now in
            state.withReconciler { $0.settle(status: announcement, outcome, at: now) }
        } tell: { announcement in
            try await write(announcement, support, state)
        }
    }

    private func write(
        _ announcement: Announcement<ClaimNumber, VolumeState>,
        _ support: StatusSupport,
        _ state: MonitorState
    ) async throws -> ReportAttempt {
        let metadata: Logger.Metadata = [
            "claim": "\(announcement.claim.key.namespace)/\(announcement.claim.key.name)"
        ]
        do {
            return ReportAttempt(try await writeOnce(announcement, support, state, metadata))
        } catch {
            try Task.checkCancellation()
            let outcome = ReportOutcome(error)
            if outcome == .gone { return ReportAttempt(.gone) }
            return ReportAttempt(
                outcome,
                "Failed to update the claim's status, retrying",
                metadata.merging(["error": "\(error)"]) { $1 }
            )
        }
    }

    /// - Throws: `conflict` when others keep changing the claim.
    private func writeOnce(
        _ announcement: Announcement<ClaimNumber, VolumeState>,
        _ support: StatusSupport,
        _ state: MonitorState,
        _ metadata: Logger.Metadata
    ) async throws(KubernetesError) -> ReportOutcome {
        let claim = announcement.claim
        let conditions = announcement.state.conditions
        var version = claim.resourceVersion
        var movesTransitionTime = announcement.cause == .transition
        for attempt in 1... {
            let written: WatchedClaim
            do {
                written = try await kubernetes.patch(
                    name: claim.key.name,
                    namespace: claim.key.namespace,
                    .healthStatus(
                        conditions,
                        uid: claim.uid,
                        resourceVersion: version,
                        transition: movesTransitionTime ? wallClockSeconds(at: announcement.since) : nil
                    ),
                    subresource: "status"
                )
            } catch {
                guard error.code == .conflict, attempt < 5, mayAct() else { throw error }
                let fresh: WatchedClaim
                do {
                    fresh = try await kubernetes.get(name: claim.key.name, namespace: claim.key.namespace)
                } catch {
                    guard error.code == .forbidden else { throw error }
                    logger.warning(
                        "Cannot read a claim that was changed meanwhile, its status is written when the watch brings it",
                        metadata: metadata.merging(["error": "\(error)"]) { $1 }
                    )
                    return .refused
                }
                if fresh.claim.uid != claim.uid { return .gone }
                let observed = fresh.healthStatus
                // Compared before it is written: somebody may have written the same.
                if observed == conditions {
                    accept(fresh, state)
                    return .told
                }
                version = fresh.resourceVersion
                movesTransitionTime = Set(observed.map(\.identity)) != Set(conditions.map(\.identity))
                continue
            }
            accept(written, state)
            if !conditions.isEmpty, !written.hasHealthStatus {
                observer(.statusWriteDropped)
                if support.isNews(.dropped) {
                    logger.warning(
                        """
                        The API server does not keep the health of claims in their status, which needs Kubernetes 1.37 \
                        and the feature gate CSIVolumeHealth: events alone tell it; tried again slowly
                        """,
                        metadata: metadata
                    )
                }
                return .unsupported
            }
            if !conditions.isEmpty, support.isNews(.kept) {
                logger.info("The API server keeps the health of claims in their status", metadata: metadata)
            }
            logger.debug("Wrote the claim's status", metadata: metadata)
            return .told
        }
        return .refused
    }

    private func accept(_ claim: WatchedClaim, _ state: MonitorState) {
        let received = now
        state.withReconciler {
            $0.written(claim.claim, volumeName: claim.volumeName, healthStatus: claim.healthStatus, at: received)
        }
    }

    /// When something was, by the wall clock, that was at this time of the monitor's.
    private func wallClockSeconds(at time: Duration) -> Int64 {
        Time.now().seconds - (now - time).components.seconds
    }
}

/// What is known of the API server's place for health.
private final class StatusSupport: Sendable {
    enum Support: Sendable {
        case kept
        case dropped
    }

    private let support = Mutex<Support?>(nil)

    /// Whether it is other than it was.
    func isNews(_ new: Support) -> Bool {
        support.withLock { support in
            defer { support = new }
            return support != new
        }
    }
}

extension MergePatch {
    /// Replaces the conditions of `status.healthStatus`, or takes it away; fails when the claim is another one or was
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
