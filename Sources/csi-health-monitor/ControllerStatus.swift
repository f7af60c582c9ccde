// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import Flags
import HTTPEndpoint
import HealthRuntime
import KubernetesClient
import Logging
import Synchronization

/// What the controller's parts know of themselves, for metrics, health checks and the log. Parts are added as they
/// start.
final class ControllerStatus: Sendable {
    private struct State {
        var driver: CSIClient?
        var monitor: HealthMonitor?
        var lease: (@Sendable () -> SidecarSnapshot.Lease)?
        var leaderElectionProblem: @Sendable () -> String? = { nil }
        var isIdentified = false
        /// The first and the last failure to identify the driver; nil once it is identified.
        var identifyFailure: (since: ContinuousClock.Instant, reason: String)?
        /// The requests in a row that got no response or 401: since the first, with the reason of the last.
        var apiFailure: (since: ContinuousClock.Instant, requests: Int, reason: String)?
        /// RBAC rules that no report needs.
        var optionalRules: Set<String> = []
        /// RBAC rules that are missing, as they are written in a Role, and since when.
        var missingRules: [String: ContinuousClock.Instant] = [:]
        /// RBAC rules that have been missing at any time.
        var refusedRules: Set<String> = []
    }

    /// No other lock is taken under this one.
    private let state = Mutex(State())

    func set(_ driver: CSIClient) { state.withLock { $0.driver = driver } }

    func set(_ monitor: HealthMonitor) { state.withLock { $0.monitor = monitor } }

    /// This replica is a candidate for the Lease `leaseName`.
    func set(leaseName: String, isLeading: @escaping @Sendable () -> Bool) {
        state.withLock { $0.lease = { SidecarSnapshot.Lease(name: leaseName, isHeld: isLeading()) } }
    }

    func set(leaderElectionProblem: @escaping @Sendable () -> String?) {
        state.withLock { $0.leaderElectionProblem = leaderElectionProblem }
    }

    /// Sets the RBAC rules that no report needs: readiness does not depend on them.
    func set(optionalRules: Set<String>) { state.withLock { $0.optionalRules = optionalRules } }

    /// A call to identify the driver failed.
    func identifyFailed(_ reason: String) {
        state.withLock { $0.identifyFailure = (since: $0.identifyFailure?.since ?? .now, reason: reason) }
    }

    func identified() {
        state.withLock { state in
            state.identifyFailure = nil
            state.isIdentified = true
        }
    }

    /// Records the result of a request. An RBAC rule is missing from the first request that is refused for it until one
    /// is served.
    func observe(_ request: KubernetesClient.RequestObservation) {
        state.withLock { state in
            if request.httpStatus == nil || request.httpStatus == 401 {
                let problem = request.httpStatus == nil ? "no response" : "401 Unauthorized"
                let reason = "\(request.verb) \(request.resource) at \(request.host): \(problem)"
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

    /// Whether this replica is able to report, check by check.
    func readiness() -> Readiness {
        let state = state.withLock { $0 }
        let now = ContinuousClock.now
        return Readiness(
            isDriverIdentified: state.isIdentified,
            driver: state.identifyFailure.map { .init(age: now - $0.since, reason: $0.reason) },
            monitor: state.monitor?.status(),
            // A single failure may be a request that was cancelled or timed out, and the next request may be minutes
            // away.
            apiServer: state.apiFailure.flatMap { failure in
                failure.requests >= 2 ? .init(age: now - failure.since, reason: failure.reason) : nil
            },
            missingRules: state.missingRules.filter { !state.optionalRules.contains($0.key) }.mapValues { now - $0 },
            missingOptionalRules: state.optionalRules.intersection(state.missingRules.keys),
            leaseProblem: state.leaderElectionProblem(),
            leaseHolder: state.lease?().isHeld
        )
    }

    /// The metadata of the hourly log line.
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

    /// The driver's last response to GetPluginInfo.
    private var driverInfo: (name: String, version: String) {
        state.withLock { $0.driver }?.driverInfo ?? (name: "unknown-driver", version: "")
    }

    /// `unknown-driver` until the driver is identified.
    func driverName() -> String { driverInfo.name }

    /// The values for a scrape.
    func snapshot() -> SidecarSnapshot {
        let (driver, monitor, lease) = state.withLock { ($0.driver, $0.monitor, $0.lease) }
        let readiness = readiness()
        return SidecarSnapshot(
            isDriverConnected: driver?.isConnected ?? false,
            driverVersion: driverInfo.version,
            isUp: readiness.isReady,
            watchSilences: (readiness.monitor?.watches ?? []).compactMap { watch in
                watch.silence.map { (resource: watch.resource, age: $0) }
            },
            rules: state.withLock { state in
                state.refusedRules.map { (rule: $0, isMissing: state.missingRules[$0] != nil) }
            },
            lease: lease?(),
            health: monitor?.snapshot()
        )
    }

    /// The failing checks that concern the driver, one line each; nil if there are none.
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
