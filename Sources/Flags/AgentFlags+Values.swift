// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension AgentFlags {
    /// The value of each flag by its name, in the flag's syntax. No flag holds a secret.
    var values: [String: String] {
        let effective = drivers.values + reports.values + kubernetes.values + diagnostics.values
        return Dictionary(effective.map { ($0, $1.flagText) } + compatibility.texts.map { ($0, $1) }) { $1 }
    }
}

extension AgentDriverFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [
            ("csi-address", csiAddress),
            ("all-drivers", allDrivers),
            ("drivers", drivers),
            ("exclude-drivers", excludeDrivers),
            ("kubelet-root-path", kubeletRootPath),
            ("timeout", timeout),
            ("monitor-interval", monitorInterval),
            ("worker-threads", workerThreads),
        ]
    }
}

extension AgentReportFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [
            ("report-missing-volumes", reportMissingVolumes),
            ("flapping-threshold", flappingThreshold),
            ("readiness-condition", readinessCondition),
            ("legacy-readiness", legacyReadiness),
            ("node-events", nodeEvents),
        ]
    }
}

extension AgentKubernetesFlags {
    fileprivate var values: [(String, any FlagValue)] {
        [("kubeconfig", kubeconfig), ("kube-api-qps", kubeAPIQPS), ("kube-api-burst", kubeAPIBurst)]
    }
}
