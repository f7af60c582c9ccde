// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import ControllerMonitor
import Diagnostics
import Flags
import HealthCore
import HealthRuntime
import KubernetesClient
import Logging
import Synchronization

/// The driver and the monitor, once they are there, for metrics and health pages.
final class RunningMonitor: Sendable {
    private struct State {
        var driver: CSIClient?
        var monitor: HealthMonitor?
        var lease: (@Sendable () -> SidecarSnapshot.Lease)?
        var leaderElectionProblem: @Sendable () -> String? = { nil }
        var isIdentified = false
        /// The driver was not identified yet: since when that failed, and why.
        var waiting: (since: ContinuousClock.Instant, reason: String)?
        /// No request is answered, or all with 401: since when, how many, and the last of them.
        var apiFailure: (since: ContinuousClock.Instant, requests: Int, reason: String)?
        /// Rules without which volumes are reported all the same.
        var optionalRules: Set<String> = []
        /// By the rule as it stands in a Role, since when it is known to be missing.
        var missingRules: [String: ContinuousClock.Instant] = [:]
        /// Those that were missing at any time.
        var refusedRules: Set<String> = []
    }

    private let state = Mutex(State())

    func set(_ driver: CSIClient) { state.withLock { $0.driver = driver } }

    func set(_ monitor: HealthMonitor) { state.withLock { $0.monitor = monitor } }

    /// The Lease with this name is contended for.
    func set(leaseName: String, isLeading: @escaping @Sendable () -> Bool) {
        state.withLock { $0.lease = { SidecarSnapshot.Lease(name: leaseName, isHeld: isLeading()) } }
    }

    func set(leaderElectionProblem: @escaping @Sendable () -> String?) {
        state.withLock { $0.leaderElectionProblem = leaderElectionProblem }
    }

    /// Missing rules of these keep no volume from being reported.
    func set(optionalRules: Set<String>) { state.withLock { $0.optionalRules = optionalRules } }

    /// The driver did not answer its Identity calls, at the start.
    func identifyFailed(_ reason: String) {
        state.withLock { $0.waiting = (since: $0.waiting?.since ?? .now, reason: reason) }
    }

    func identified() {
        state.withLock { state in
            state.waiting = nil
            state.isIdentified = true
        }
    }

    /// A rule is missing from the first request that is refused for it until one is served.
    func observe(_ request: KubernetesClient.RequestObservation) {
        state.withLock { state in
            if request.httpStatus == nil || request.httpStatus == 401 {
                let answer = request.httpStatus == nil ? "no answer" : "401 Unauthorized"
                let reason = "\(request.verb) \(request.resource) at \(request.host): \(answer)"
                state.apiFailure = (
                    since: state.apiFailure?.since ?? .now,
                    requests: (state.apiFailure?.requests ?? 0) + 1,
                    reason: reason
                )
            } else {
                state.apiFailure = nil
            }
        }
        let (rule, isServed) = (request.rbacRule, request.httpStatus.map { $0 < 400 } ?? false)
        guard request.lacksRule || isServed else { return }
        state.withLock { state in
            if request.lacksRule {
                state.refusedRules.insert(rule)
                if state.missingRules[rule] == nil { state.missingRules[rule] = .now }
            } else if !state.missingRules.isEmpty {
                state.missingRules[rule] = nil
            }
        }
    }

    /// Whether this replica can report, and what keeps it from that.
    func readiness() -> Readiness {
        let state = state.withLock { $0 }
        let now = ContinuousClock.now
        return Readiness(
            isDriverIdentified: state.isIdentified,
            driver: state.waiting.map { .init(age: now - $0.since, reason: $0.reason) },
            monitor: state.monitor?.status(),
            // One alone may be a request that was cancelled, or too slow: others may not follow for long.
            apiServer: state.apiFailure.flatMap { failure in
                failure.requests >= 2 ? .init(age: now - failure.since, reason: failure.reason) : nil
            },
            missingRules: state.missingRules.filter { !state.optionalRules.contains($0.key) }.mapValues { now - $0 },
            missingOptionalRules: state.optionalRules.intersection(state.missingRules.keys),
            leaseProblem: state.leaderElectionProblem(),
            leaseHolder: state.lease?().isHeld
        )
    }

    /// What the log says once in an hour in which everything works.
    func summary() -> Logger.Metadata {
        let (monitor, lease) = state.withLock { ($0.monitor, $0.lease) }
        var metadata: Logger.Metadata = [:]
        if let lease = lease?() { metadata["leading"] = .stringConvertible(lease.isHeld) }
        if let snapshot = monitor?.snapshot(), let status = monitor?.status() {
            metadata["healthy"] = .stringConvertible(snapshot.healthyVolumes)
            metadata["unhealthy"] = .stringConvertible(snapshot.unhealthyVolumes)
            metadata["unknown"] = .stringConvertible(snapshot.unknownVolumes + snapshot.staleVolumes)
            metadata["queued"] = .stringConvertible(snapshot.events.depth + snapshot.statuses.depth)
            metadata["lastSweep"] = status.sweepAge.map { .stringConvertible(Duration.seconds($0.components.seconds)) }
        }
        return metadata
    }

    /// As the driver last identified itself.
    private var driverInfo: (name: String, version: String) {
        state.withLock { $0.driver }?.driverInfo ?? (name: "unknown-driver", version: "")
    }

    /// `unknown-driver` until the driver is identified.
    func driverName() -> String { driverInfo.name }

    /// What metrics show.
    func snapshot() -> SidecarSnapshot {
        let (driver, monitor, lease) = state.withLock { ($0.driver, $0.monitor, $0.lease) }
        let driverVersion = driverInfo.version
        var snapshot = SidecarSnapshot(
            isDriverConnected: driver?.isConnected ?? false,
            lease: lease?(),
            volumes: (monitor?.snapshot()).map { SidecarSnapshot.Volumes($0, driverVersion: driverVersion) }
        )
        let readiness = readiness()
        snapshot.isUp = readiness.isReady
        snapshot.watchSilences = (readiness.monitor?.watches ?? []).compactMap { watch in
            watch.silence.map { (resource: watch.resource, age: $0) }
        }
        snapshot.rules = state.withLock { state in
            state.refusedRules.map { (rule: $0, isMissing: state.missingRules[$0] != nil) }
        }
        return snapshot
    }

    /// What is wrong with the driver, a line each, in the words of ``Readiness``; nil when nothing is known to be.
    func driverProblem() -> String? {
        let checks = readiness().checks.filter {
            ["driver-connected", "driver-supported", "last-sweep"].contains($0.name)
        }
        let problems = checks.compactMap { check in check.failure.map { "\(check.name): \($0.reason)" } }
        return problems.isEmpty ? nil : problems.joined(separator: "\n")
    }
}

extension SidecarMetrics.Configuration {
    init(_ options: ControllerOptions) {
        self.init(
            version: Program.version,
            revision: Program.revision,
            swiftVersion: Program.swiftVersion,
            listVolumesInterval: options.listVolumesInterval,
            monitorInterval: options.monitorInterval
        )
    }
}

extension SidecarSnapshot.Volumes {
    init(_ snapshot: HealthSnapshot, driverVersion: String) {
        self.init(
            unhealthyClaims: snapshot.unhealthyClaims.map {
                UnhealthyClaim(
                    namespace: $0.namespace,
                    name: $0.name,
                    conditions: $0.conditions.map { UnhealthyClaim.Condition(status: $0.status, reason: $0.reason) },
                    age: $0.age
                )
            },
            healthy: snapshot.healthyVolumes,
            unhealthy: snapshot.unhealthyVolumes,
            unknown: snapshot.unknownVolumes,
            events: .init(snapshot.events),
            statuses: .init(snapshot.statuses),
            driver: snapshot.method.map {
                .init(version: driverVersion, method: $0.name, generation: $0.generation)
            },
            isDriverSupported: snapshot.missingCapabilities == nil,
            isStatusSupported: snapshot.isStatusSupported,
            isAbsenceSuspected: snapshot.isAbsenceSuspected,
            listProblem: snapshot.listProblem,
            probeInterval: snapshot.probeInterval
        )
        stale = snapshot.staleVolumes
        unanswered = snapshot.unansweredClaims.map { ($0.claim.namespace, $0.claim.name, $0.age) }
        round = snapshot.lastRound.map { (answered: $0.answered, volumes: $0.volumes) }
    }
}

extension SidecarSnapshot.Queue {
    fileprivate init(_ backlog: HealthSnapshot.Backlog) {
        self.init(depth: backlog.depth, oldest: backlog.oldest, adds: backlog.adds)
    }
}

extension SidecarMetrics {
    /// The RPCs that report health.
    private static let probeMethods: Set = [
        "ListVolumes", "ControllerGetVolume", "ControllerListVolumeHealth", "ControllerGetVolumeHealth",
    ]

    func observe(_ call: CSIClient.CallObservation) {
        observeOperation(
            driverName: call.driverName,
            statusCode: call.code,
            method: call.method,
            duration: call.duration
        )
        if let deviation = call.deviation { countDeviation(deviation.kind.rawValue) }
        let method = call.method.split(separator: "/").last.map(String.init) ?? ""
        if Self.probeMethods.contains(method) {
            observeProbe(method: method, succeeded: call.isUsable, duration: call.duration)
        }
    }

    func observe(_ request: KubernetesClient.RequestObservation) {
        observeAPIRequest(
            verb: request.verb,
            resource: request.resource,
            code: request.code,
            method: request.method,
            host: request.host,
            duration: request.duration
        )
    }

    func observe(_ object: UndecodableObject) {
        countUndecodableObject(resource: object.resource)
    }

    func observe(_ observation: MonitorObservation) {
        switch observation {
        case .sweepCompleted(let duration): sweepCompleted(duration: duration)
        case .unknownCondition(let type): countUnknownCondition(type: type)
        case .unspecifiedReason: countUnspecifiedReason()
        case .statusWriteDropped: countDroppedStatusWrite()
        case .reported(let report): observe(report)
        }
    }

    private func observe(_ report: ReportObservation) {
        countReport(kind: report.kind.rawValue, result: report.result.rawValue)
        let queue: String? =
            switch report.kind {
            case .event: "events"
            case .status: "status"
            // Short queues, which are in no other metric.
            case .unknownCondition, .unanswered, .nodeFailure: nil
            }
        guard let queue else { return }
        let isRetried = report.result == .retried || report.result == .refused
        observeWork(queue: queue, isRetried: isRetried, duration: report.duration)
    }
}
