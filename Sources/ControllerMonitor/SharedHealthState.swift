// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthRuntime
import Synchronization

/// The ``ControllerCore/HealthState`` behind a lock, and the signals that its changes raise.
///
/// Lock order: the lock of the node watcher, then this one, then that of the driver's problems or of a signal.
final class SharedHealthState: Sendable {
    private let state: Mutex<HealthState>
    private let problems = Mutex(DriverProblems())
    /// There may be a volume to probe.
    let probeable = WakeUp()
    /// The suspicion that the driver, not its volumes, is at fault has begun or ended.
    let suspicions = WakeUp()
    /// There may be an event to record on a volume's conditions.
    let events = WakeUp()
    /// There may be an event to record on a condition of an unknown type.
    let unknownEvents = WakeUp()
    /// There may be an event to record on a volume for which the driver does not respond, or responds again.
    let responseEvents = WakeUp()
    /// There may be an event to record on an outage of the driver, or on its end.
    let outages = WakeUp()
    /// There may be an event to record on a flapping volume.
    let flappingEvents = WakeUp()
    /// There may be a status to update.
    let statuses = WakeUp()
    /// There may be periodic work on claims' status: see ``ControllerCore/HealthState/needsStatusMaintenance``.
    let maintenance = WakeUp()

    init(_ state: sending HealthState) {
        self.state = Mutex(state)
    }

    func withLock<R: Sendable>(_ body: (inout sending HealthState) -> sending R) -> R {
        state.withLock(body)
    }

    /// Changes the state, and signals what may be due.
    func update<R: Sendable>(_ body: (inout HealthState) -> R) -> R {
        let (result, before, after, isSuspicionChanged) = state.withLock { state in
            let before = state.plans
            let wasSuspect = state.absenceSuspicion != nil
            let knewOnlyItsNode = state.knowsOnlyItsNode
            let neededMaintenance = state.needsStatusMaintenance
            let result = body(&state)
            if !neededMaintenance, state.needsStatusMaintenance { maintenance.signal() }
            let isSuspicionChanged =
                wasSuspect != (state.absenceSuspicion != nil) || knewOnlyItsNode != state.knowsOnlyItsNode
            // Within the lock, so that the problems are those of the last update.
            problems.withLock { $0 = DriverProblems(state) }
            return (result, before, state.plans, isSuspicionChanged)
        }
        if isSuspicionChanged { suspicions.signal() }
        // In an outage the watch returns every write as a change, which mostly makes nothing due.
        if before.events != after.events { events.signal() }
        if before.unknownEvents != after.unknownEvents { unknownEvents.signal() }
        if before.responseEvents != after.responseEvents { responseEvents.signal() }
        if before.flappingEvents != after.flappingEvents { flappingEvents.signal() }
        if before.statuses != after.statuses { statuses.signal() }
        if before.outages != after.outages { outages.signal() }
        probeable.signal()
        return result
    }

    /// Takes the next report of a queue. That may end the pause of flapping volumes, and an outage may begin with these.
    func next<R: Sendable>(_ body: (inout HealthState) -> R) -> R {
        let (result, isOutageDue) = state.withLock { state in
            let before = state.plans.outages
            let result = body(&state)
            return (result, state.plans.outages != before)
        }
        if isOutageDue { outages.signal() }
        return result
    }

    /// The problems of the driver, without waiting for the lock of the state, which may be held for long.
    var driverProblems: DriverProblems { problems.withLock { $0 } }
}
