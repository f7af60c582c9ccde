// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Readiness conditions of pods that name them: see ``ReadinessCondition``.
extension NodeHealthState {
    /// The next condition to write, by a strategic merge patch of the pod's status with the pod's uid. Write it, then
    /// call ``complete(readiness:_:at:)`` in any case: as gone if there is no pod of that name and uid.
    package mutating func nextReadiness(
        at now: Duration
    ) -> NextStep<PendingReport<ReadinessKey, ReadinessCondition, NodePodTarget>> {
        readiness.next(at: now) { key in
            guard let pod = pods[key.podUID], !pod.isOver else { return nil }
            return NodePodTarget(namespace: pod.pod.namespace, podName: pod.pod.name, podUID: key.podUID)
        }
    }

    /// Completes a report of ``nextReadiness(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        readiness report: PendingReport<ReadinessKey, ReadinessCondition, NodePodTarget>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        readiness.complete(report, outcome, at: now)
    }

    /// Whether the pod becomes Ready only with the condition of this driver.
    func isGated(_ pod: NodePod, by driver: String) -> Bool {
        configuration.writesReadiness && pod.readinessGates.contains(ReadinessCondition.type(driver: driver))
    }

    /// What the pod shows, where it has changed: an unrelated change of the pod during a write says nothing of the
    /// write.
    mutating func observeReadiness(of pod: NodePod, before: [PodCondition], at now: Duration) {
        guard configuration.writesReadiness else { return }
        for type in pod.readinessGates where ReadinessCondition.isType(type) {
            let shown = pod.conditions.first { $0.type == type }
            guard shown != before.first(where: { $0.type == type }) else { continue }
            let state = shown.map { ReadinessCondition($0) } ?? .absent
            readiness.observe(reported: state, for: ReadinessKey(podUID: pod.uid, type: type), at: now)
        }
    }

    /// Decides which conditions the pod should show.
    mutating func reviewReadiness(ofPod uid: String, at now: Duration) {
        guard configuration.writesReadiness, let pod = pods[uid], !pod.isOver else { return }
        for type in pod.pod.readinessGates {
            guard let condition = readinessCondition(type, of: pod) else { continue }
            readiness.set(condition, for: ReadinessKey(podUID: uid, type: type), at: now)
        }
    }

    /// nil: it stays as it is.
    private func readinessCondition(_ type: String, of pod: PodRecord) -> ReadinessCondition? {
        let isKnown = drivers.contains {
            $0.value.isSupported == true && ReadinessCondition.type(driver: $0.key) == type
        }
        guard isKnown else { return nil }
        let records = pod.volumes.compactMap { volumes[$0] }.filter {
            ReadinessCondition.type(driver: $0.volume.driver) == type
        }
        if let worst = records.compactMap({ failure($0) }).min(by: { $0.precedes($1) }) {
            return ReadinessCondition(status: .false, reason: worst.condition.reason, message: worst.message)
        }
        guard pod.pod.isStarted, pod.unresolved.isEmpty, records.allSatisfy({ hasResponse($0) }) else { return nil }
        return .healthy
    }

    /// Whether the driver has found the volume, even if it reports no health for it, and no earlier report says that it
    /// is unhealthy.
    private func hasResponse(_ record: VolumeRecord) -> Bool {
        if record.health != nil { return true }
        return record.lastFound != nil && record.readback == .done && !countsAsUnhealthy(record.volume.key)
    }

    /// The driver found the volume and reported no health that this version knows.
    mutating func reviewReadinessWithoutHealth(of key: NodeVolumeKey, at now: Duration) {
        guard let record = volumes[key], record.health == nil, let pod = pods[key.podUID]?.pod else { return }
        // An earlier process may have reported that the volume was not found.
        scheduleReadback(of: key, at: now)
        if isGated(pod, by: record.volume.driver) { reviewReadiness(ofPod: key.podUID, at: now) }
    }

    private struct Failure {
        var condition: VolumeHealthCondition
        var message: String

        func precedes(_ other: Failure) -> Bool {
            (other.condition.status, condition.reason, message) < (
                condition.status, other.condition.reason, other.message
            )
        }
    }

    /// Why the volume cannot be used; nil: it can, or its health is unknown.
    private func failure(_ record: VolumeRecord) -> Failure? {
        guard let health = record.health else { return nil }
        let legacy = VolumeHealthCondition(abnormalMessage: "").identity
        let condition = health.conditions.first {
            $0.status > .degraded || configuration.legacyConditionsCount && $0.identity == legacy
        }
        return condition.map { Failure(condition: $0, message: record.target.message(for: health)) }
    }
}
