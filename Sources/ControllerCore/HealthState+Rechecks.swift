// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Additional calls for unhealthy volumes, where the driver has a call for a single volume: see
/// ``HealthCore/RecheckSchedule``.
extension HealthState {
    /// The next unhealthy volume to probe, when nothing else is due. Calls of both schedules count towards the rate.
    ///
    /// - Parameter due: when something else is due.
    mutating func nextRecheck(at now: Duration, otherwise due: Duration?) -> NextStep<String> {
        let volumes = countOfVolumes
        guard let nextCall = probes?.nextCall,
            let step = rechecks?.next(at: now, notBefore: nextCall, volumes: volumes)
        else { return .wait(until: due) }
        if case .run = step { probes?.callBegan(at: now) }
        return step.waiting(atMostUntil: due)
    }

    /// A call has shown a volume as healthy. Where volumes are listed, the next list confirms or refutes that.
    mutating func recovered(_ handle: HandleNumber) {
        guard rechecks != nil, !probesEveryVolume, isKnownUnhealthy(handle) else { return }
        callRecoveries.recovered(handle)
    }

    /// Compares what calls have shown since the last list with a complete list, and ends the additional calls that
    /// contradict it.
    mutating func compareCalls(with unhealthy: [HandleNumber: VolumeState]) {
        switch callRecoveries.compare(isUnhealthy: { unhealthy[$0]?.isClear == false }) {
        case .allContradicted: rechecks = nil
        case .contradicted(let handles):
            for handle in handles {
                if let name = index.volumeHandle(handle) { rechecks?.remove(name) }
            }
        }
    }

    /// A response has shown the health of a volume: it is probed again soon while it is unhealthy, or its recovery is
    /// not reported yet.
    mutating func recheck(_ handle: HandleNumber, at now: Duration) {
        guard let count = rechecks?.count else { return }
        let isUnhealthy = isKnownUnhealthy(handle)
        guard isUnhealthy || count > 0, let name = index.volumeHandle(handle) else { return }
        setRecheck(name, isUnhealthy: isUnhealthy, at: now)
    }

    /// A response has shown whether the volume is unhealthy, or a call has failed.
    mutating func setRecheck(_ handle: String, isUnhealthy: Bool, at now: Duration) {
        guard let count = rechecks?.count else { return }
        if callRecoveries.isContradicted, let number = index.number(ofVolumeHandle: handle),
            callRecoveries.isContradicted(number)
        {
            return
        }
        let hasRoom = count < RecheckSchedule<String>.capacity(volumes: countOfVolumes)
        guard !isUnhealthy || hasRoom || rechecks?.contains(handle) == true else { return }
        rechecks?.set(handle, isUnhealthy: isUnhealthy, at: now)
    }

    private var countOfVolumes: Int { probesEveryVolume ? probes?.count ?? 0 : index.handleCount }
}
