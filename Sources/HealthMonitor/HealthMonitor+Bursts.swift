// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Logging
import Synchronization
import VolumeHealth

extension HealthMonitor {
    /// Logs one line for each burst of events: those of single events are not logged at `--v=0`. Until it is cancelled,
    /// which ends a burst too.
    func logEventBursts() async throws {
        defer { logEventBurst() }
        while true {
            guard let end = eventBursts.end else {
                await eventBursts.began.wait()
                try Task.checkCancellation()
                continue
            }
            if now < end {
                try await clock.sleep(until: instant(at: end), tolerance: nil)
            } else {
                logEventBurst()
            }
        }
    }

    private func logEventBurst() {
        guard let burst = eventBursts.finish() else { return }
        logger.notice(
            "Recorded many events",
            metadata: [
                "events": .stringConvertible(burst.events), "duration": .stringConvertible(burst.duration),
                "firstPVCs": .array(burst.claims.map(\.logValue)),
            ]
        )
    }
}

/// The burst of events that goes on, shared by the tasks that record events and the one that logs it.
final class EventBursts: Sendable {
    private let burst = Mutex(EventBurst())
    /// A burst has begun. For one task at a time.
    let began = WakeUp()

    var end: Duration? { burst.withLock { $0.end } }

    func recorded(_ claim: ClaimKey, at now: Duration) {
        if burst.withLock({ $0.recorded(claim, at: now) }) { began.signal() }
    }

    func finish() -> EventBurst.Summary? { burst.withLock { $0.finish() } }
}
