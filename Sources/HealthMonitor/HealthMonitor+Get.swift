// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import Synchronization
import VolumeHealth

extension HealthMonitor {
    /// Probes single volumes as the core's schedule says, for ever: all of them where the driver has no list, otherwise those
    /// that its lists leave open. While the driver cannot be reached nothing is probed.
    func probeVolumes(into state: MonitorState) async throws {
        let limit: @Sendable () -> Int = { state.probing.limit }
        try await dispatch(atMost: limit, wakeUp: state.probeable, clock: clock) {
            () -> DispatchStep<String, C.Instant> in
            let asked = now
            guard !state.probing.isPaused, state.generation != nil else { return .wait(until: nil) }
            let (round, interval, step, hasResponseEvents) = state.withHealthState { healthState in
                let before = healthState.plans.responseEvents
                let round = healthState.completedRound(at: asked)
                let hasResponseEvents = healthState.plans.responseEvents != before
                return (round, healthState.keptProbeInterval, healthState.nextProbe(at: asked), hasResponseEvents)
            }
            if hasResponseEvents { state.responseEvents.signal() }
            if let round { state.lastRound.withLock { $0 = round } }
            // One volume that cannot be probed does not blind the others.
            if let round, round.answered > 0 || round.volumes == 0 {
                state.sweepEnded(at: asked)
                logChanges(state)
                // A round may have shown that the driver knows only its node's volumes, or found missing ones again.
                state.suspicions.signal()
                observer(.sweepCompleted(duration: interval ?? configuration.monitorInterval))
            }
            switch step {
            case .probe(let handle): return .run(handle)
            case .wait(let due): return .wait(until: due.map(instant(at:)))
            }
        } run: { handle in
            guard let generation = state.generation else { return }
            let began = now
            let answer = try await ask(for: handle, generation, state)
            let received = now
            note(answer, since: began, state)
            state.update { $0.receive(answer, ofVolumeHandle: handle, at: received) }
        }
    }

    /// Any volume that the driver answers for shows that it can be called. Where there is a list, the list shows whether calls
    /// for health succeed.
    private func note(_ answer: ProbeAnswer, since began: Duration, _ state: MonitorState) {
        switch answer {
        case .report, .notFound, .withoutHealth:
            state.succeeded(.driver)
            if state.isWithoutList { state.succeeded(.calls) }
        case .failed where state.isWithoutList:
            state.failed(
                .calls,
                reason: "no call for a volume has succeeded since, the log has the errors",
                since: began
            )
        case .failed, .interrupted: break
        }
    }

    /// Asks the driver for one volume.
    ///
    /// - Throws: only `CancellationError`.
    func ask(
        for handle: String,
        _ generation: ProbeStrategy.Generation,
        _ state: MonitorState
    ) async throws -> ProbeAnswer {
        try await haltUnlessLeading()
        do {
            switch generation {
            case .legacy:
                let volume = try await measured(state) { () throws(CSIError) in try await driver.getVolume(id: handle) }
                return VolumeHealthReport(volume).map(ProbeAnswer.report) ?? .withoutHealth
            case .health:
                let secrets = try await secrets(ofVolumeHandle: handle, state)
                let health = try await measured(state) { () throws(CSIError) in
                    try await driver.getVolumeHealth(id: handle, secrets: secrets)
                }
                return .report(VolumeHealthReport(health, observer: observer))
            }
        } catch {
            try Task.checkCancellation()
            let failure = error as? CSIError
            if failure?.isNotFound == true { return .notFound }
            logger.log(
                level: state.probing.isFirst(like: failure) ? .warning : .debug,
                "Failed to get volume health, retrying",
                metadata: ["volumeHandle": "\(handle)", "err": "\(error)"]
            )
            // A driver that answers UNAVAILABLE itself says so of this volume, for instance of its backend.
            if failure?.isUnavailable == true, !driver.isConnected {
                state.probing.pause()
                state.interrupted.signal()
                return .interrupted
            }
            return .failed
        }
    }
}

extension HealthMonitor {
    /// Makes a call, whose latency and outcome decide how many may be under way.
    private func measured<Answer>(
        _ state: MonitorState,
        _ call: () async throws(CSIError) -> Answer
    ) async throws(CSIError) -> Answer {
        let began = now
        state.probing.callBegan()
        do throws(CSIError) {
            let answer = try await call()
            state.probing.callEnded(.answered, took: now - began, at: now)
            return answer
        } catch {
            state.probing.callEnded(error.isOverload ? .overloaded : .answered, took: now - began, at: now)
            throw error
        }
    }
}

/// Whether and how many single volumes can be probed, and what went wrong with it lately, so that the log does not say it for every volume.
final class Probing: Sendable {
    private struct State {
        var codes: Set<String> = []
        var isPaused = true
        var concurrency: ProbeConcurrency
        var underWay = 0
    }

    private let state: Mutex<State>

    /// - Parameter maximum: the most calls under way at a time.
    init(maximum: Int) {
        state = Mutex(State(concurrency: ProbeConcurrency(maximum: maximum)))
    }

    /// How many calls may be under way now.
    var limit: Int { state.withLock { $0.concurrency.limit } }

    func callBegan() { state.withLock { $0.underWay += 1 } }

    func callEnded(_ result: ProbeConcurrency.Result, took duration: Duration, at now: Duration) {
        state.withLock { state in
            state.concurrency.callEnded(result, took: duration, at: now, underWay: state.underWay)
            state.underWay -= 1
        }
    }

    /// The driver is not identified yet, or cannot be reached.
    var isPaused: Bool { state.withLock { $0.isPaused } }

    func pause() { state.withLock { $0.isPaused = true } }

    /// The driver was identified: calls may begin, and failures are logged anew.
    func resume() {
        state.withLock { state in
            state.codes = []
            state.isPaused = false
        }
    }

    /// Whether there was none of this kind yet; nil: a failure on the way to the call.
    func isFirst(like failure: CSIError?) -> Bool {
        state.withLock { $0.codes.insert(failure?.code.description ?? "").inserted }
    }
}
