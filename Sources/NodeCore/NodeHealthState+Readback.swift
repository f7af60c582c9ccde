// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// What earlier processes reported is read back before the first report on a volume (rule 9), for pods that had started
/// before this process.
extension NodeHealthState {
    private static let attempts = 3
    private static let retries = Backoff(initial: .seconds(5), maximum: .seconds(300))

    /// The next volume whose events to read back. Due when the driver has responded for it.
    package mutating func nextReadback(at now: Duration) -> ReadbackStep {
        while let item = dueReadbacks.first {
            guard let record = volumes[item.element], record.readback == .scheduled(item.ticket) else {
                dueReadbacks.removeFirst()
                continue
            }
            if item.due > now { return .wait(until: item.due) }
            dueReadbacks.removeFirst()
            volumes[item.element]?.readback = .underWay
            return .read(record.target)
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

    mutating func scheduleReadback(of key: NodeVolumeKey, at now: Duration) {
        guard volumes[key]?.readback == .needed else { return }
        volumes[key]?.readback = .scheduled(dueReadbacks.insert(key, due: now))
    }
}
