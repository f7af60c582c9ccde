// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import NodeCore
import Synchronization

/// The ``NodeCore/NodeHealthState`` behind a lock, and the signals that its changes raise.
///
/// Lock order: none. No lock of the agent is held while another one is taken: neither this one, nor those of the probe
/// signals, of the running and connected drivers, and of a driver's connection. Signals are raised without a lock.
final class SharedNodeState: Sendable {
    private let state: Mutex<NodeHealthState>
    /// By driver: there may be a volume to probe.
    private let probes = Mutex<[String: WakeUp]>([:])
    /// There may be a driver's storage to probe.
    let storageProbes = WakeUp()
    /// There may be a claim to read.
    let claims = WakeUp()
    /// There may be an event to read back.
    let readbacks = WakeUp()
    /// There may be an event to record on a volume's conditions.
    let events = WakeUp()
    /// There may be an event to record on a volume that is flapping.
    let flappingEvents = WakeUp()
    /// There may be an event to record on a condition of an unknown type.
    let unknownEvents = WakeUp()
    /// There may be a readiness condition to write.
    let readiness = WakeUp()
    /// There may be an event to record on a driver's storage.
    let storageEvents = WakeUp()

    init(_ state: sending NodeHealthState) {
        self.state = Mutex(state)
    }

    /// Adds the signal that there may be a volume of this driver to probe.
    func addProbeSignal(ofDriver name: String) -> WakeUp {
        let signal = WakeUp()
        probes.withLock { $0[name] = signal }
        return signal
    }

    func removeProbeSignal(ofDriver name: String) {
        probes.withLock { $0[name] = nil }
    }

    func withLock<R: Sendable>(_ body: (inout sending NodeHealthState) -> sending R) -> R {
        state.withLock(body)
    }

    /// Takes the next event on a volume's conditions. Volumes that have waited may begin to flap with it.
    func nextEvent<R: Sendable>(_ body: (inout NodeHealthState) -> R) -> R {
        let (result, isFlappingDue) = state.withLock { state in
            let before = state.plans.flappingEvents
            let result = body(&state)
            return (result, state.plans.flappingEvents != before)
        }
        if isFlappingDue { flappingEvents.signal() }
        return result
    }

    /// Changes the state, and signals what may be due.
    @discardableResult
    func update<R: Sendable>(_ body: (inout NodeHealthState) -> R) -> R {
        let (result, before, after) = state.withLock { state in
            let before = state.plans
            let result = body(&state)
            return (result, before, state.plans)
        }
        if before.claims != after.claims { claims.signal() }
        if before.readbacks != after.readbacks { readbacks.signal() }
        if before.events != after.events { events.signal() }
        if before.flappingEvents != after.flappingEvents { flappingEvents.signal() }
        if before.unknownEvents != after.unknownEvents { unknownEvents.signal() }
        if before.readiness != after.readiness { readiness.signal() }
        if before.storageEvents != after.storageEvents { storageEvents.signal() }
        if before.probes != after.probes {
            for signal in probes.withLock({ Array($0.values) }) { signal.signal() }
            storageProbes.signal()
        }
        return result
    }
}
