// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
package import ControllerMonitor
package import HTTPEndpoint
package import KlogLogging
package import KubernetesClient
package import LeaderElection

/// The validated flags of the controller.
package struct ControllerOptions: Sendable, Equatable {
    package struct LeaderElection: Sendable, Equatable {
        /// nil: the pod's namespace.
        package var namespace: String?
        package var timing: LeaderElectionTiming
        package var labels: [String: String]
        /// nil: the leader never steps down because its driver is unavailable.
        package var driverUnavailableTimeout: Duration?
        package var warmStandby: Bool
    }

    /// A path, or an address in gRPC's syntax.
    package var csiAddress: String
    /// Of one call to the driver.
    package var timeout: Duration
    package var listVolumesInterval: Duration
    /// 0: the driver decides.
    package var listMaxEntries: Int32
    package var monitorInterval: Duration
    /// 0: a quarter of the interval in use.
    package var unhealthyInterval: Duration
    package var workerThreads: Int
    /// nil: no limit.
    package var probesPerSecond: Double?
    package var missingVolumesHold: Duration
    package var reportMissingVolumes: Bool
    /// nil: never.
    package var reportUnansweredAfter: Duration?
    package var holdTimes: HoldTimes
    /// 0: volumes are never reported as flapping.
    package var flappingThreshold: Int
    /// nil: no outage is reported.
    package var outageLimits: OutageLimits?
    package var legacyStatus: Bool
    package var claimCondition: ClaimConditionPolicy
    /// nil: nodes are not watched.
    package var nodeFailureDuration: Duration?
    package var nodeDeployment: Bool
    package var volumeSecrets: VolumeSecretsKind
    /// nil: the pod's service account.
    package var kubeconfig: String?
    /// nil: no limit.
    package var rateLimit: RateLimit?
    /// nil: no HTTP server.
    package var endpoint: DiagnosticsEndpoint.Configuration?
    /// nil: no leader election.
    package var leaderElection: LeaderElection?
    /// klog's `--v`.
    package var verbosity: Int
    package var loggingFormat: KlogHandler.Format
    /// Flags that were set and require `--leader-election`, which was not.
    package var flagsWithoutLeaderElection: [String]
    /// Flags of external-health-monitor that have no effect and were not given their default.
    package var ignoredFlags: [String]
    package var hasStatusPage: Bool
    /// The value of each flag by its name, in the flag's syntax.
    package var flagValues: [String: String]

    /// A shorter interval is probably a wrong unit: 5ms instead of 5m.
    static let minimumInterval = Duration.milliseconds(10)

    /// Validates the flags against each other and against the file system.
    ///
    /// - Throws: ``UsageError`` for the first invalid flag.
    package init(_ flags: ControllerFlags) throws(UsageError) {
        csiAddress = flags.driver.csiAddress
        timeout = flags.driver.timeout.duration
        listVolumesInterval = flags.driver.listVolumesInterval.duration
        listMaxEntries = flags.driver.listMaxEntries
        monitorInterval = flags.driver.monitorInterval.duration
        unhealthyInterval = flags.driver.unhealthyInterval.duration
        workerThreads = Int(flags.driver.workerThreads)
        probesPerSecond = flags.driver.probeQPS == 0 ? nil : flags.driver.probeQPS
        missingVolumesHold = flags.reports.missingVolumesHold.duration
        reportMissingVolumes = flags.reports.reportMissingVolumes
        let unresponsiveAfter = flags.reports.reportUnansweredAfter.duration
        reportUnansweredAfter = unresponsiveAfter == .zero ? nil : unresponsiveAfter
        holdTimes = HoldTimes(
            abnormalAfter: flags.reports.abnormalAfter.duration,
            recoverAfter: flags.reports.recoverAfter.duration
        )
        flappingThreshold = Int(flags.reports.flappingThreshold)
        outageLimits = try flags.reports.outageLimits(window: listVolumesInterval)
        legacyStatus = flags.reports.legacyStatus
        claimCondition = flags.reports.claimCondition
        nodeFailureDuration = flags.reports.enableNodeWatcher ? flags.reports.nodeFailureDuration.duration : nil
        nodeDeployment = flags.driver.nodeDeployment
        volumeSecrets = flags.driver.volumeSecrets
        kubeconfig = flags.kubernetes.kubeconfig.isEmpty ? nil : flags.kubernetes.kubeconfig
        rateLimit = try RateLimit(qps: flags.kubernetes.kubeAPIQPS, burst: flags.kubernetes.kubeAPIBurst)
        endpoint = try flags.diagnostics.endpoint()
        leaderElection = flags.leaderElection.leaderElection ? try Self.leaderElection(flags.leaderElection) : nil
        verbosity = try flags.diagnostics.checkedVerbosity()
        loggingFormat = flags.diagnostics.loggingFormat
        flagsWithoutLeaderElection = flags.leaderElection.withoutEffect
        ignoredFlags = flags.ignored
        hasStatusPage = flags.pages.statusPage
        flagValues = flags.values

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
        guard unhealthyInterval == .zero || unhealthyInterval >= Self.minimumInterval else {
            throw UsageError(message: "--unhealthy-interval must be at least 10ms, such as 15s, or 0")
        }
        guard holdTimes.abnormalAfter >= .zero else {
            throw UsageError(message: "--abnormal-after must not be negative, such as 2m")
        }
        guard holdTimes.recoverAfter >= .zero else {
            throw UsageError(message: "--recover-after must not be negative, such as 2m")
        }
        guard 0...1000 ~= flappingThreshold else {
            throw UsageError(message: "--flapping-threshold must be between 1 and 1000, or 0")
        }
        try FileCheck.checkSocketAddress(csiAddress)
        if let kubeconfig {
            try FileCheck.checkReadable(kubeconfig: kubeconfig)
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
        let timeout = flags.driverUnavailableTimeout?.duration ?? timing.leaseDuration * 2
        guard timeout >= .zero else {
            throw UsageError(message: "--driver-unavailable-timeout must not be negative; 0 never releases the Lease")
        }
        return LeaderElection(
            namespace: flags.leaderElectionNamespace.isEmpty ? nil : flags.leaderElectionNamespace,
            timing: timing,
            labels: flags.leaderElectionLabels.values,
            driverUnavailableTimeout: timeout == .zero ? nil : timeout,
            warmStandby: flags.warmStandby
        )
    }
}

extension ReportFlags {
    /// nil: no outage is reported.
    ///
    /// - Parameter window: the interval in which all volumes are listed.
    fileprivate func outageLimits(window: Duration) throws(UsageError) -> OutageLimits? {
        guard 0...100 ~= outageThresholdPercent else {
            throw UsageError(message: "--outage-threshold-percent must be between 0 and 100")
        }
        guard outageThresholdVolumes >= 0 else {
            throw UsageError(message: "--outage-threshold-volumes must not be negative")
        }
        guard outageThresholdPercent < 100 else { return nil }
        return OutageLimits(
            minimumVolumes: Int(outageThresholdVolumes),
            percent: Int(outageThresholdPercent),
            window: window
        )
    }
}

extension ControllerOptions {
    /// The configuration of the monitor of a driver.
    package func monitorConfiguration(driverName: String, identity: String) -> MonitorConfiguration {
        var configuration = MonitorConfiguration(driverName: driverName, identity: identity)
        configuration.listVolumesInterval = listVolumesInterval
        configuration.monitorInterval = monitorInterval
        configuration.unhealthyInterval = unhealthyInterval
        configuration.workerThreads = workerThreads
        configuration.probesPerSecond = probesPerSecond
        configuration.missingVolumesHold = missingVolumesHold
        configuration.reportsMissingVolumes = reportMissingVolumes
        configuration.unresponsiveAfter = reportUnansweredAfter
        configuration.outageLimits = outageLimits
        configuration.holdTimes = holdTimes
        configuration.flappingThreshold = flappingThreshold
        configuration.writesLegacyStatus = legacyStatus
        configuration.claimConditions = claimCondition
        configuration.nodeFailureDuration = nodeFailureDuration
        configuration.volumeSecrets = volumeSecrets
        configuration.dependencyTimeout = leaderElection?.driverUnavailableTimeout
        configuration.driverCheckInterval = .seconds(10)
        configuration.permissionCheckInterval = .seconds(15)
        configuration.reopensWatches = true
        return configuration
    }
}
