// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import VolumeHealth

extension HealthMonitor {
    /// How soon a driver is asked again what it can do, where nothing else gives a reason to.
    private var lookAgainInterval: Duration { .seconds(300) }

    /// After so many intervals a list that was of no use is tried again, while its volumes are probed one by one.
    private var intervalsOfUselessLists: Int { 10 }

    /// Asks the driver how its volumes are, for ever: lists them where it can, beside ``probeVolumes(into:)``.
    ///
    /// The driver is identified again and again: it may be restarted or upgraded at any time.
    func probe(into state: MonitorState) async throws {
        var schedule = SweepSchedule(interval: configuration.listVolumesInterval)
        var nextList = now
        while true {
            try await haltUnlessLeading()
            let identity = try await driver.waitForIdentity(clock: clock) { error, took in
                state.failed(.driver, reason: driver.explanation(of: error), since: now - took)
            }
            state.succeeded(.driver)
            guard identity.name == configuration.driverName else {
                throw DriverChangedError(expected: configuration.driverName, found: identity.name)
            }
            let strategy = ProbeStrategy(identity.controllerCapabilities)
            if state.adopt(strategy) {
                begin(strategy, identity, state)
                nextList = now
            }
            state.probing.resume()
            state.probeable.signal()
            switch strategy {
            case .list(let generation, let canConfirm):
                if now >= nextList {
                    schedule.begin(at: now)
                    let isComplete = try await sweep(generation, canConfirm: canConfirm, into: state)
                    let isUseless = canConfirm && state.withHealthState { $0.listProblem != nil }
                    nextList = schedule.end(
                        complete: isComplete,
                        intervals: isUseless ? intervalsOfUselessLists : 1,
                        at: now
                    )
                }
                // A driver that was away is identified before single volumes are probed again, which does not wait for
                // the next list.
                try await waitForInterruption(state, until: nextList)
            case .get:
                try await waitForInterruption(state, until: now + lookAgainInterval)
            case .none:
                try await waitForAnotherDriver(atMost: lookAgainInterval)
            }
        }
    }

    private func begin(_ strategy: ProbeStrategy, _ identity: DriverIdentity, _ state: MonitorState) {
        let metadata: Logger.Metadata = [
            "version": "\(identity.vendorVersion)", "method": "\(strategy.method)",
        ]
        switch strategy {
        case .none:
            logger.error(
                "The driver does not report volume health, nothing is monitored",
                metadata: metadata.merging(["reason": "\(ProbeStrategy.missingCapabilities)"]) { $1 }
            )
        case .list(.health, canConfirm: false):
            logger.warning(
                """
                The driver has LIST_VOLUME_HEALTH without GET_VOLUME_HEALTH, against the CSI specification: a volume \
                counts as recovered when two complete lists in a row leave it out
                """,
                metadata: metadata
            )
        case .list, .get:
            logger.notice("Monitoring the driver's volumes", metadata: metadata)
        }
        let began = now
        state.update { healthState in
            healthState.beginStrategy(writesStatus: strategy.generation == .health || configuration.writesLegacyStatus)
            let scope: HealthState.ProbeScope? =
                switch strategy {
                case .get: .everyVolume
                case .list(_, canConfirm: true): .whatListsLeaveOpen
                case .list(_, canConfirm: false), .none: nil
                }
            guard let scope else { return }
            var random = SystemRandomNumberGenerator()
            healthState.beginProbing(
                scope,
                interval: configuration.monitorInterval,
                minimumGap: configuration.probesPerSecond.map { .seconds(1) / $0 } ?? .zero,
                at: began,
                using: &random
            )
        }
    }

    /// Returns when a call found that the driver cannot be reached, or at this moment.
    private func waitForInterruption(_ state: MonitorState, until end: Duration) async throws {
        await wait(for: state.interrupted, until: end)
        try Task.checkCancellation()
    }

    /// Returns when the connection broke, for the driver may be another version when it is back, or after a while.
    private func waitForAnotherDriver(atMost limit: Duration) async throws {
        await withTaskGroup { group in
            group.addTask { await driver.waitUntilDisconnected() }
            group.addTask { try? await clock.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        // A server may close connections whenever it likes.
        try await clock.sleep(for: .seconds(5))
    }
}
