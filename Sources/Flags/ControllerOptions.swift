// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
package import ControllerMonitor
package import Diagnostics
import HealthCore
import HealthRuntime
package import LeaderElection

/// What the controller is to do: its flags, checked.
package struct ControllerOptions: Sendable, Equatable {
    /// A bound on requests to the API server.
    package struct RateLimit: Sendable, Equatable {
        /// Requests per second in the long run.
        package var queriesPerSecond: Double
        /// Requests at once.
        package var burst: Int
    }

    /// Where the diagnostics endpoint is.
    package struct Endpoint: Sendable, Equatable {
        package var address: ListenAddress
        package var metricsPath: String
    }

    /// How to contend for the driver's lease.
    package struct LeaderElection: Sendable, Equatable {
        /// nil: the pod's own.
        package var namespace: String?
        package var timing: LeaderElectionTiming
        package var labels: [String: String]
        /// After what time a leader that sees nothing steps down; nil: never.
        package var dependencyTimeout: Duration?
        /// Whether a standby keeps its caches up to date.
        package var warmStandby: Bool
    }

    /// A path, or an address as gRPC takes it.
    package var csiAddress: String
    /// For one call to the driver.
    package var timeout: Duration
    /// From one list of all volumes to the next.
    package var listVolumesInterval: Duration
    /// 0 leaves it to the driver.
    package var listMaxEntries: Int32
    /// In which each volume is asked for once, where volumes are asked for one by one.
    package var monitorInterval: Duration
    /// The most calls for single volumes at a time.
    package var workerThreads: Int
    /// The most calls for single volumes per second; nil: no limit of its own.
    package var probesPerSecond: Double?
    /// After what time the absence of many volumes is believed.
    package var missingVolumesHold: Duration
    /// Whether missing volumes are reported.
    package var reportMissingVolumes: Bool
    /// After what time without a response for its volume a claim is reported; nil: never.
    package var reportUnansweredAfter: Duration?
    /// Whether conditions of legacy drivers go to the claims' status.
    package var legacyStatus: Bool
    /// When a claim's health is shown as a condition in its status.
    package var claimCondition: ClaimConditionPolicy
    /// How long a node is not ready before it counts as failed; nil: nodes are not watched.
    package var nodeFailureDuration: Duration?
    /// Whether only the volumes of our node are monitored.
    package var nodeDeployment: Bool
    /// Which Secret of a volume goes with the health calls.
    package var volumeSecrets: VolumeSecretsKind
    /// nil: the pod's service account.
    package var kubeconfig: String?
    /// nil: no bound.
    package var rateLimit: RateLimit?
    /// nil: no endpoint.
    package var endpoint: Endpoint?
    /// nil: work without a lease.
    package var leaderElection: LeaderElection?
    /// klog's `--v`.
    package var verbosity: Int
    package var loggingFormat: KlogHandler.Format
    /// Flags that mean nothing here and were given another value than their default.
    package var meaninglessFlags: [String]

    /// Below it, an interval is a wrong unit: 5ms where 5m is meant.
    private static let minimumInterval = Duration.milliseconds(10)

    /// Checks the flags against each other and against the file system.
    package init(_ flags: ControllerFlags) throws(UsageError) {
        csiAddress = flags.driver.csiAddress
        timeout = flags.driver.timeout.duration
        listVolumesInterval = flags.driver.listVolumesInterval.duration
        listMaxEntries = flags.driver.listMaxEntries
        monitorInterval = flags.driver.monitorInterval.duration
        workerThreads = Int(flags.driver.workerThreads)
        probesPerSecond = flags.driver.probeQPS == 0 ? nil : flags.driver.probeQPS
        missingVolumesHold = flags.reports.missingVolumesHold.duration
        reportMissingVolumes = flags.reports.reportMissingVolumes
        let unansweredLimit = flags.reports.reportUnansweredAfter.duration
        reportUnansweredAfter = unansweredLimit == .zero ? nil : unansweredLimit
        legacyStatus = flags.reports.legacyStatus
        claimCondition = flags.reports.claimCondition
        nodeFailureDuration = flags.reports.enableNodeWatcher ? flags.reports.nodeFailureDuration.duration : nil
        nodeDeployment = flags.driver.nodeDeployment
        volumeSecrets = flags.driver.volumeSecrets
        kubeconfig = flags.kubernetes.kubeconfig.isEmpty ? nil : flags.kubernetes.kubeconfig
        rateLimit = try Self.rateLimit(flags.kubernetes)
        endpoint = try Self.endpoint(flags.diagnostics)
        leaderElection = flags.leaderElection.leaderElection ? try Self.leaderElection(flags.leaderElection) : nil
        verbosity = Int(flags.diagnostics.verbosity)
        loggingFormat = flags.diagnostics.loggingFormat
        meaninglessFlags = flags.compatibility.given

        guard timeout > .zero else {
            throw UsageError(message: "--timeout must be greater than zero, such as 15s")
        }
        guard listVolumesInterval >= Self.minimumInterval else {
            throw UsageError(message: "--list-volumes-interval must be at least 10ms, such as 5m")
        }
        guard listMaxEntries >= 0 else {
            throw UsageError(message: "--list-max-entries must not be negative; 0 leaves it to the driver")
        }
        guard monitorInterval >= Self.minimumInterval else {
            throw UsageError(message: "--monitor-interval must be at least 10ms, such as 1m")
        }
        guard nodeFailureDuration ?? .seconds(1) > .zero else {
            throw UsageError(message: "--node-failure-duration must be greater than zero, such as 5m")
        }
        guard workerThreads > 0 else {
            throw UsageError(message: "--worker-threads must be greater than zero")
        }
        guard probesPerSecond.map({ $0.isFinite && $0 >= 0.001 }) ?? true else {
            throw UsageError(message: "--probe-qps must be 0 for no limit, or at least 0.001")
        }
        guard missingVolumesHold >= .zero else {
            throw UsageError(message: "--missing-volumes-hold must not be negative, such as 10m")
        }
        guard reportUnansweredAfter.map({ $0 > .zero }) ?? true else {
            throw UsageError(message: "--report-unanswered-after must not be negative; 0 disables it")
        }
        guard verbosity >= 0 else {
            throw UsageError(message: "--v must not be negative; 0 logs the least")
        }
        try FileCheck.isSocketAddress(csiAddress)
        if let kubeconfig {
            try FileCheck.isReadable(kubeconfig: kubeconfig)
        }
    }

    /// A negative rate is no limit, and a burst of 0 is 10, as in client-go. There a rate of 0 is 5, which the flag does not
    /// say: it is refused.
    private static func rateLimit(_ flags: KubernetesFlags) throws(UsageError) -> RateLimit? {
        guard flags.kubeAPIBurst >= 0 else {
            throw UsageError(message: "--kube-api-burst must not be negative")
        }
        guard flags.kubeAPIQPS != 0 else {
            throw UsageError(message: "--kube-api-qps must not be 0: write a rate, such as 50, or -1 for no limit")
        }
        guard flags.kubeAPIQPS > 0 else { return nil }
        return RateLimit(
            queriesPerSecond: flags.kubeAPIQPS,
            burst: flags.kubeAPIBurst == 0 ? 10 : Int(flags.kubeAPIBurst)
        )
    }

    private static func endpoint(_ flags: DiagnosticsFlags) throws(UsageError) -> Endpoint? {
        guard flags.httpEndpoint.isEmpty || flags.metricsAddress.isEmpty else {
            throw UsageError(message: "only one of --metrics-address and --http-endpoint may be given")
        }
        let name = flags.httpEndpoint.isEmpty ? "--metrics-address" : "--http-endpoint"
        let text = flags.httpEndpoint.isEmpty ? flags.metricsAddress : flags.httpEndpoint
        guard !text.isEmpty else { return nil }
        guard flags.metricsPath.hasPrefix("/") else {
            throw UsageError(message: "--metrics-path must begin with a slash, as in /metrics")
        }
        do {
            return Endpoint(address: try ListenAddress(parsing: text), metricsPath: flags.metricsPath)
        } catch {
            throw UsageError(message: "\(name): \(error.message)")
        }
    }

    private static func leaderElection(_ flags: LeaderElectionFlags) throws(UsageError) -> LeaderElection {
        let timing: LeaderElectionTiming
        do {
            timing = try LeaderElectionTiming(
                leaseDuration: flags.leaderElectionLeaseDuration.duration,
                renewDeadline: flags.leaderElectionRenewDeadline.duration,
                retryPeriod: flags.leaderElectionRetryPeriod.duration
            )
        } catch {
            throw UsageError(message: "invalid --leader-election flags: \(error.message)")
        }
        let blindness = flags.driverUnavailableTimeout?.duration ?? timing.leaseDuration * 2
        guard blindness >= .zero else {
            throw UsageError(message: "--driver-unavailable-timeout must not be negative; 0 never gives the lease back")
        }
        return LeaderElection(
            namespace: flags.leaderElectionNamespace.isEmpty ? nil : flags.leaderElectionNamespace,
            timing: timing,
            labels: flags.leaderElectionLabels.values,
            dependencyTimeout: blindness == .zero ? nil : blindness,
            warmStandby: flags.warmStandby
        )
    }
}

extension ControllerOptions {
    /// What the monitor of this driver is to do.
    package func monitorConfiguration(driverName: String, identity: String) -> MonitorConfiguration {
        var configuration = MonitorConfiguration(driverName: driverName, identity: identity)
        configuration.listVolumesInterval = listVolumesInterval
        configuration.monitorInterval = monitorInterval
        configuration.workerThreads = workerThreads
        configuration.probesPerSecond = probesPerSecond
        configuration.missingVolumesHold = missingVolumesHold
        configuration.reportsMissingVolumes = reportMissingVolumes
        configuration.unansweredLimit = reportUnansweredAfter
        configuration.writesLegacyStatus = legacyStatus
        configuration.claimConditions = claimCondition
        configuration.nodeFailureDuration = nodeFailureDuration
        configuration.volumeSecrets = volumeSecrets
        configuration.dependencyTimeout = leaderElection?.dependencyTimeout
        configuration.driverCheckInterval = .seconds(10)
        return configuration
    }
}
