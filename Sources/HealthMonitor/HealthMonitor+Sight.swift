// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import KubernetesClient
import Logging
import Synchronization
package import VolumeHealth

/// The monitor sees too little to lead: see ``MonitorConfiguration/blindnessTimeout``.
package struct BlindnessError: Error, CustomStringConvertible {
    /// What failed.
    package var sense: Sense
    /// For how long and why.
    package var description: String
}

extension HealthMonitor {
    /// Whether nothing that is known keeps this replica from leading: its driver is connected, and no sense fails.
    package var isFitToLead: Bool {
        guard driver.isConnected else { return false }
        return current.get().map { $0.sight.isEmpty } ?? true
    }

    /// Ends the term when a sense has failed for too long, for ever.
    ///
    /// - Throws: ``BlindnessError``; `CancellationError`.
    func watchSight(of state: MonitorState) async throws {
        guard let timeout = configuration.blindnessTimeout else { return try await untilCancelled() }
        while true {
            // One by one, every volume has had its turn after an interval: before that, not all calls have failed.
            let callsTimeout = state.isWithoutList ? max(timeout, configuration.monitorInterval) : timeout
            switch state.verdict(timeout: timeout, callsTimeout: callsTimeout, at: now) {
            case .keep: await state.sightChanged.wait()
            case .keepUntil(let end): await wait(for: state.sightChanged, until: end)
            case .stepDown(let failure):
                let seconds = (now - failure.since).components.seconds
                throw BlindnessError(
                    sense: failure.sense,
                    description: "\(failure.sense.description) for \(seconds)s: \(failure.reason)"
                )
            }
            try Task.checkCancellation()
        }
    }

    /// Calls Identity/Probe now and then, and as soon as the connection breaks: a driver that has ended or hangs is known
    /// before the next list. While it fails, all Identity calls must succeed: one that answers Probe alone is of no use.
    ///
    /// - Throws: only `CancellationError`.
    func watchDriver(_ state: MonitorState) async throws {
        guard let interval = configuration.driverCheckInterval else { return try await untilCancelled() }
        while true {
            let began = now
            do throws(CSIError) {
                if state.failure(of: .driver) == nil {
                    try await driver.probe()
                } else {
                    _ = try await driver.identity()
                }
                state.succeeded(.driver)
            } catch {
                try Task.checkCancellation()
                state.failed(.driver, reason: driver.explanation(of: error), since: began)
                // It may be another version when it is back: it is identified before anything else is called.
                state.probing.pause()
                state.interrupted.signal()
            }
            // A server may close connections whenever it likes.
            try await clock.sleep(for: .seconds(1))
            await withTaskGroup { group in
                group.addTask { await driver.waitUntilDisconnected() }
                group.addTask { try? await clock.sleep(for: interval) }
                await group.next()
                group.cancelAll()
            }
            try Task.checkCancellation()
        }
    }

    /// Looks, while this replica is a standby whose driver has failed, whether it answers its Identity calls again. Calls for
    /// the health of volumes are the leader's alone: that they failed counts for ``memoryOfFailedCalls``.
    ///
    /// - Throws: only `CancellationError`.
    func recheckDriver(of state: MonitorState) async throws {
        guard configuration.blindnessTimeout != nil else { return try await untilCancelled() }
        while true {
            try await clock.sleep(for: configuration.driverCheckInterval ?? .seconds(10))
            guard !current.isLeading else { continue }
            if let failure = state.failure(of: .calls), failure.last + memoryOfFailedCalls <= now {
                state.succeeded(.calls)
            }
            guard state.failure(of: .driver) != nil else { continue }
            do {
                _ = try await driver.identity()
                state.succeeded(.driver)
                logger.notice("CSI driver is ready")
            } catch {
                try Task.checkCancellation()
            }
        }
    }

    /// For how long a standby whose calls have failed leaves the lease to others.
    private var memoryOfFailedCalls: Duration { .seconds(300) }

    /// Returns at the signal, or at this moment, or on cancellation.
    func wait(for signal: WakeUp, until end: Duration) async {
        await withTaskGroup { group in
            group.addTask { await signal.wait() }
            group.addTask { try? await clock.sleep(until: instant(at: end), tolerance: nil) }
            await group.next()
            group.cancelAll()
        }
    }
}

extension Sense {
    /// What has failed, for people.
    fileprivate var description: String {
        switch self {
        case .driver: "the CSI driver has not answered"
        case .calls: "calls for the health of volumes have failed"
        case .volumes: "watching persistentvolumes was refused"
        case .claims: "watching persistentvolumeclaims was refused"
        }
    }
}

// MARK: What the tasks of a term find out

extension MonitorState {
    /// What fails, the longest first.
    var sight: [Sight.Failure] { senses.withLock { $0.failures } }

    func failure(of sense: Sense) -> Sight.Failure? { senses.withLock { $0.failure(of: sense) } }

    func verdict(timeout: Duration, callsTimeout: Duration, at now: Duration) -> Sight.Verdict {
        senses.withLock { $0.verdict(timeout: timeout, callsTimeout: callsTimeout, at: now) }
    }

    func failed(_ sense: Sense, reason: String, since: Duration) {
        senses.withLock { $0.failed(sense, reason: reason, since: since) }
        sightChanged.signal()
    }

    func succeeded(_ sense: Sense) {
        if senses.withLock({ $0.succeeded(sense) }) { sightChanged.signal() }
    }

    /// A watch has failed. Only what the API server refuses counts: what it cannot do now, it cannot do for others either.
    func watchFailed(_ sense: Sense, _ error: KubernetesError, at now: Duration) {
        if [.forbidden, .unauthorized].contains(error.code) { failed(sense, reason: "\(error)", since: now) }
    }
}
