// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import HealthCore
import HealthRuntime
import Logging
import Synchronization

extension Prober {
    /// Probes single volumes when the state schedules them, until cancelled: all volumes if the driver has no list,
    /// otherwise those for which its lists are not enough. Makes no calls before ``run()`` has identified the driver,
    /// nor while the driver cannot be reached.
    ///
    /// - Throws: only `CancellationError`.
    func probeVolumes() async throws {
        let state = context.state
        let limit: @Sendable () -> Int = { self.calls.limit }
        try await dispatch(atMost: limit, wakeUp: state.probeable, time: context.time) {
            self.nextProbe()
        } run: { [context] handle in
            guard let generation = self.strategy?.generation else { return }
            let began = self.now
            let result = try await self.probe(handle, generation)
            let received = self.now
            self.updateDependencies(result, since: began)
            context.state.update { $0.receive(result, ofVolumeHandle: handle, at: received) }
        }
    }

    /// The next volume to probe. Completes a round of probes when its interval has ended.
    private func nextProbe() -> NextStep<String> {
        let now = now
        let state = context.state
        guard !calls.isPaused, strategy?.generation != nil else { return .wait(until: nil) }
        let (round, interval, volumes, step, before, after) = state.withLock { state in
            let before = state.plans
            let round = state.completedRound(at: now)
            let (interval, volumes) = (state.effectiveProbeInterval, state.probedVolumes)
            return (round, interval, volumes, state.nextProbe(at: now), before, state.plans)
        }
        if before.events != after.events { state.events.signal() }
        if before.responseEvents != after.responseEvents { state.responseEvents.signal() }
        if before.outages != after.outages { state.outages.signal() }
        withTerm { term in
            (term.probeInterval, term.probedVolumes) = (interval, volumes)
            if let round { term.lastRound = round }
        }
        if round != nil {
            // A round may end a suspicion, also one without volumes, after which no response comes: it may have found
            // missing volumes again, or shown that the driver knows only its own node's volumes.
            state.update { _ in }
            state.suspicions.signal()
        }
        // Without volumes, no call follows that could succeed.
        if let round, round.volumes == 0, isWithoutList { context.dependencies.succeeded(.calls) }
        // A round counts as a sweep, even if some calls failed, but not if all calls failed.
        if let round, round.responses > 0 || round.volumes == 0 {
            sweepEnded(at: now)
            context.observer(.sweepCompleted(duration: interval ?? context.configuration.monitorInterval))
        }
        return step
    }

    /// Where volumes are probed one by one: the interval in which all of them are, longer than configured where calls are
    /// slow or limited.
    var probeInterval: Duration { max(context.configuration.monitorInterval, withTerm { $0.probeInterval } ?? .zero) }

    /// Where volumes are probed one by one: for how long calls must fail until it is known that all do. After as many
    /// failures in a row as half of the volumes, and at least a hundred, that is no matter of a few volumes: then no longer
    /// than the interval that is configured.
    func intervalOfFailingCalls(_ failure: DependencyHealth.Failure?) -> Duration {
        let volumes = withTerm { $0.probedVolumes }
        if let failure, failure.attempts >= max(100, volumes / 2) { return context.configuration.monitorInterval }
        return probeInterval
    }

    /// Records the result of a call as that of ``Dependency/driver`` and, if the driver has no list, of
    /// ``Dependency/calls``; otherwise the list shows whether health calls succeed.
    private func updateDependencies(_ result: ProbeResult, since began: Duration) {
        switch result {
        case .report, .notFound, .withoutHealth:
            context.dependencies.succeeded(.driver)
            if isWithoutList { context.dependencies.succeeded(.calls) }
        case .failed where isWithoutList:
            context.dependencies.failed(
                .calls,
                reason: "no call for a volume has succeeded since, the log has the errors",
                since: began
            )
        case .failed, .interrupted: break
        }
    }

    /// Calls the driver for one volume. An error other than cancellation is returned as a result, and logged unless it
    /// is NOT_FOUND.
    ///
    /// - Throws: only `CancellationError`.
    private func probe(_ handle: String, _ generation: ProbeStrategy.Generation) async throws -> ProbeResult {
        let driver = context.driver
        try await context.gate.haltUnlessLeading()
        do {
            switch generation {
            case .legacy:
                let volume = try await measured { () throws(CSIError) in try await driver.getVolume(id: handle) }
                return VolumeHealthReport(volume).map(ProbeResult.report) ?? .withoutHealth
            case .health:
                let secrets = try await secrets(ofVolumeHandle: handle)
                let health = try await measured { () throws(CSIError) in
                    try await driver.getVolumeHealth(id: handle, secrets: secrets)
                }
                return .report(VolumeHealthReport(health, observer: context.observer))
            }
        } catch {
            try Task.checkCancellation()
            let failure = error as? CSIError
            if failure?.isNotFound == true { return .notFound }
            log(error, handle)
            // While the driver is connected, UNAVAILABLE concerns this volume, for instance its backend.
            if failure?.isUnavailable == true, !driver.isConnected {
                interrupt()
                return .interrupted
            }
            return .failed
        }
    }

    /// Logs a failed call, as ``HealthCore/CallFailures`` decides.
    private func log(_ error: any Error, _ handle: String) {
        let line = calls.failed(error as? CSIError, at: now)
        context.logger.log(
            level: line.level,
            "Failed to get volume health, retrying",
            metadata: line.metadata.merging(["volumeHandle": "\(handle)", "err": "\(error)"]) { $1 }
        )
    }

    /// Logs the kinds of failures that have ended.
    func logEndedFailures() {
        for ended in calls.removeEndedFailures(at: now) {
            context.logger.notice("Calls for volume health no longer fail", metadata: ended.metadata)
        }
    }

    /// Makes a call. Its latency and result raise or lower ``CallLimiter/limit``.
    private func measured<Response>(_ call: () async throws(CSIError) -> Response) async throws(CSIError) -> Response {
        let calls = calls
        let began = now
        calls.callBegan()
        do throws(CSIError) {
            let response = try await call()
            calls.callEnded(.responded, took: now - began, at: now)
            return response
        } catch {
            calls.callEnded(error.isOverload ? .overloaded : .responded, took: now - began, at: now)
            throw error
        }
    }
}

/// The limit of concurrent calls for single volumes in a term, whether calls are paused, and which calls have failed.
final class CallLimiter: Sendable {
    private struct State {
        var failures: CallFailures
        var isPaused = true
        /// nil before the driver was identified for the first time.
        var pausedAt: Duration?
        var concurrency: ProbeConcurrency
        var underWay = 0
    }

    private let state: Mutex<State>

    /// Calls are paused until ``resume()``.
    ///
    /// - Parameters:
    ///   - maximum: the limit is never higher.
    ///   - longestGap: the longest time between two calls for a volume whose calls fail.
    init(maximum: Int, longestGap: Duration) {
        state = Mutex(
            State(failures: CallFailures(longestGap: longestGap), concurrency: ProbeConcurrency(maximum: maximum))
        )
    }

    /// The current limit of concurrent calls.
    var limit: Int { state.withLock { $0.concurrency.limit } }

    func callBegan() { state.withLock { $0.underWay += 1 } }

    /// To be called once for each ``callBegan()``.
    func callEnded(_ result: ProbeConcurrency.Result, took duration: Duration, at now: Duration) {
        state.withLock { state in
            state.concurrency.callEnded(result, took: duration, at: now, underWay: state.underWay)
            state.underWay -= 1
        }
    }

    /// Whether calls are paused: the driver is not identified yet, or cannot be reached.
    var isPaused: Bool { state.withLock { $0.isPaused } }

    func pause(at now: Duration) {
        state.withLock { state in
            if !state.isPaused { state.pausedAt = now }
            state.isPaused = true
        }
    }

    /// The driver was identified: calls may begin. Failures from before a pause say nothing of later calls.
    ///
    /// - Returns: how long calls were paused.
    func resume(at now: Duration) -> Duration {
        state.withLock { state in
            defer { (state.isPaused, state.pausedAt) = (false, nil) }
            if state.isPaused { _ = state.failures.removeEnded(at: now) }
            return state.pausedAt.map { now - $0 } ?? .zero
        }
    }

    /// A call failed; nil: it was not made, because the volume's Secret could not be read.
    func failed(_ error: CSIError?, at now: Duration) -> CallFailures.Line {
        state.withLock { $0.failures.failed(code: error?.code.description ?? "no Secret", at: now) }
    }

    /// Forgets and returns the kinds of failures that have ended.
    func removeEndedFailures(at now: Duration) -> [CallFailures.Ended] {
        state.withLock { $0.failures.removeEnded(at: now) }
    }
}
