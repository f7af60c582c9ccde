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
        var leaderElectionProblem: @Sendable () -> ReadinessFailure? = { nil }
        var isIdentified = false
        /// The first and the last failure to identify the driver; nil once it is identified.
        var identifyFailure: (since: ContinuousClock.Instant, reason: String)?
        /// When the driver's problem was first observed; nil while there is none.
        var driverProblemSince: ContinuousClock.Instant?
        /// RBAC rules that no report needs.
        var optionalRules: Set<String> = []
    }

    /// No other lock is taken under this one.
    private let state = Mutex(State())
    private let created = ContinuousClock.now
    let requests = RequestHealth()

    func set(_ driver: CSIClient) { state.withLock { $0.driver = driver } }

    func set(_ monitor: HealthMonitor) { state.withLock { $0.monitor = monitor } }

    /// This replica is a candidate for the Lease `leaseName`.
    func set(leaseName: String, isLeading: @escaping @Sendable () -> Bool) {
        state.withLock { $0.lease = { SidecarSnapshot.Lease(name: leaseName, isHeld: isLeading()) } }
    }

    func set(leaderElectionProblem: @escaping @Sendable () -> ReadinessFailure?) {
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

    /// Whether this replica is able to report, check by check.
    func readiness() -> Readiness {
        let state = state.withLock { $0 }
        let now = ContinuousClock.now
        let missing = requests.missingRules(at: now)
        let monitor = state.monitor?.status()
        return Readiness(
            isDriverIdentified: state.isIdentified,
            driver: state.identifyFailure.map { .init(age: now - $0.since, reason: $0.reason) },
            uptime: now - created,
            monitor: monitor,
            driverProblemAge: driverProblemAge(isPresent: monitor?.driverProblem != nil, at: now),
            apiServer: requests.failure(at: now),
            missingRules: missing.filter { !state.optionalRules.contains($0.key) },
            missingOptionalRules: state.optionalRules.intersection(missing.keys),
            leaseProblem: state.leaderElectionProblem(),
            leaseHolder: state.lease?().isHeld
        )
    }

    /// How long the driver has had a problem, as precise as ``ReadinessReporter/interval``.
    private func driverProblemAge(isPresent: Bool, at now: ContinuousClock.Instant) -> Duration? {
        state.withLock { state in
            state.driverProblemSince = isPresent ? state.driverProblemSince ?? now : nil
            return state.driverProblemSince.map { now - $0 }
        }
    }

    /// Whether reports reach the API server, for the log only: a replica whose reports are refused is able to work.
    /// Empty between terms, when it is not known.
    func reportChecks() -> [HealthChecks.Result] {
        guard let monitor = state.withLock({ $0.monitor }), monitor.status()?.isLeading == true else { return [] }
        return [ReadinessChecks.reports(monitor.reportFailure())]
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
            rules: requests.rules,
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
            build: .current,
            listVolumesInterval: options.listVolumesInterval,
            monitorInterval: options.monitorInterval
        )
    }
}
