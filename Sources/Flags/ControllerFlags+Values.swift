// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension ControllerFlags {
    /// The value of each flag by its name, in the flag's syntax. No flag holds a secret.
    var values: [String: String] {
        let ignored = controllerCompatibility.texts + compatibility.texts
        let effective = driver.values + reports.values + kubernetes.values + leaderElection.values + pages.values
        return Dictionary((effective + diagnostics.values).map { ($0, $1.flagText) } + ignored.map { ($0, $1) }) { $1 }
    }
}

extension DriverFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [
            ("csi-address", csiAddress),
            ("timeout", timeout),
            ("list-volumes-interval", listVolumesInterval),
            ("monitor-interval", monitorInterval),
            ("unhealthy-interval", unhealthyInterval),
            ("worker-threads", workerThreads),
            ("probe-qps", probeQPS),
            ("list-max-entries", listMaxEntries),
            ("node-deployment", nodeDeployment),
            ("volume-secrets", volumeSecrets),
        ]
    }
}

extension ReportFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [
            ("report-missing-volumes", reportMissingVolumes),
            ("missing-volumes-hold", missingVolumesHold),
            ("report-unanswered-after", reportUnansweredAfter),
            ("abnormal-after", abnormalAfter),
            ("recover-after", recoverAfter),
            ("flapping-threshold", flappingThreshold),
            ("outage-threshold-percent", outageThresholdPercent),
            ("outage-threshold-volumes", outageThresholdVolumes),
            ("legacy-status", legacyStatus),
            ("claim-condition", claimCondition),
            ("enable-node-watcher", enableNodeWatcher),
            ("node-failure-duration", nodeFailureDuration),
        ]
    }
}

extension KubernetesFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [("kubeconfig", kubeconfig), ("kube-api-qps", kubeAPIQPS), ("kube-api-burst", kubeAPIBurst)]
    }
}

extension LeaderElectionFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [
            ("leader-election", leaderElection),
            ("leader-election-namespace", leaderElectionNamespace),
            ("leader-election-lease-duration", leaderElectionLeaseDuration),
            ("leader-election-renew-deadline", leaderElectionRenewDeadline),
            ("leader-election-retry-period", leaderElectionRetryPeriod),
            ("driver-unavailable-timeout", driverUnavailableTimeout),
            ("leader-election-labels", leaderElectionLabels),
            ("warm-standby", warmStandby),
        ]
    }
}

extension PageFlags {
    fileprivate var values: [(String, any FlagValue)] { [("status-page", statusPage)] }
}

extension DiagnosticsFlags {
    var values: [(String, any FlagValue)] {
        [
            ("http-endpoint", httpEndpoint),
            ("metrics-address", metricsAddress),
            ("metrics-path", metricsPath),
            ("v", verbosity),
            ("logging-format", loggingFormat),
            ("version", version),
        ]
    }
}
