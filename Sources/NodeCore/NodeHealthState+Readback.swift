// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What an earlier process has reported on a volume, as its event shows (rule 9).
package enum ReadbackResult: Sendable, Hashable {
    /// The last event on the volume reports this state.
    ///
    /// - fingerprint: of the reported HealthCore/VolumeState, from the event's annotation.
    /// - reportedAt: when it was last recorded, on the clock of the core; may be before its origin.
    /// - since: when it was first recorded; nil: unknown.
    case reported(Fingerprint, reportedAt: Duration, since: Duration?)
    /// There is no event, or the last one reports a recovery.
    case nothing
    /// The request failed. It is retried; the third failure counts as ``nothing``.
    case failed
    /// There is no connection to the API server, or it is overloaded, so that nothing could be recorded either. The
    /// request is retried, and does not count as failed.
    case unreachable
    /// RBAC forbids the request: counts as ``nothing``.
    case forbidden
}

/// What earlier processes reported is read back before the first report on a volume (rule 9), for pods that had started
/// before this process.
extension NodeHealthState {
    private static let attempts = 3
    private static let retries = Backoff(initial: .seconds(5), maximum: .seconds(300))

    /// The next volume whose events to read back, by their names: due when the driver has responded for it. Read them,
    /// then call ``complete(readback:_:at:)`` in any case.
    package mutating func nextReadback(at now: Duration) -> NextStep<NodeVolume> {
        while let item = dueReadbacks.first {
            guard let record = volumes[item.element], record.readback == .scheduled(item.ticket) else {
                dueReadbacks.removeFirst()
                continue
            }
            if item.due > now { return .wait(until: item.due) }
            dueReadbacks.removeFirst()
            volumes[item.element]?.readback = .underWay
            return .run(record.target)
        }
        return .wait(until: nil)
    }

    /// A read of ``nextReadback(at:)`` ended.
    package mutating func complete(readback volume: NodeVolume, _ result: ReadbackResult, at now: Duration) {
        // Without an entry the pod is over.
        guard var record = volumes[volume.key], record.readback == .underWay else { return }
        switch result {
        case .failed where record.failedReadbacks + 1 < Self.attempts:
            record.failedReadbacks += 1
            let due = now + Self.retries.delay(afterFailures: record.failedReadbacks)
            record.readback = .scheduled(dueReadbacks.insert(volume.key, due: due))
            volumes[volume.key] = record
            return
        case .unreachable:
            let due = now + delay(.seconds(5)..<(.seconds(15)))
            record.readback = .scheduled(dueReadbacks.insert(volume.key, due: due))
            volumes[volume.key] = record
            return
        case .reported(let fingerprint, let time, let since):
            events.restore(reported: fingerprint, for: volume.key, reportedAt: time, since: since)
        case .nothing, .failed, .forbidden:
            if record.awaitsReadback { record.health = .clear }
        }
        record.readback = .done
        record.awaitsReadback = false
        volumes[volume.key] = record
        // After a first healthy response, the next one decides whether a reported volume has recovered.
        if let health = record.health {
            setHealth(health, of: volume.key, at: now)
        } else {
            reviewReadiness(ofPod: volume.podUID, at: now)
        }
    }

    /// Unhealthy volumes come first: their events wait for it.
    mutating func scheduleReadback(of key: NodeVolumeKey, at now: Duration) {
        guard let record = volumes[key], record.readback == .needed else { return }
        let due = record.health?.isClear == false ? .zero : now
        volumes[key]?.readback = .scheduled(dueReadbacks.insert(key, due: due))
    }
}
