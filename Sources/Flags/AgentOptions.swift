// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HTTPEndpoint
package import KlogLogging
package import KubernetesClient
package import NodeMonitor

/// The validated flags of the agent.
package struct AgentOptions: Sendable, Equatable {
    /// The node of this process, from the environment variable NODE_NAME.
    package var nodeName: String
    package var drivers: NodeMonitorConfiguration.Drivers
    /// An absolute path without a slash at its end.
    package var kubeletRootPath: String
    /// Of one call to a driver.
    package var timeout: Duration
    package var monitorInterval: Duration
    /// Of each driver.
    package var workerThreads: Int
    package var reportMissingVolumes: Bool
    /// 0: volumes are never reported as flapping.
    package var flappingThreshold: Int
    package var readinessCondition: Bool
    package var legacyReadiness: Bool
    package var nodeEvents: Bool
    /// nil: the pod's service account.
    package var kubeconfig: String?
    /// nil: no limit.
    package var rateLimit: RateLimit?
    /// nil: no HTTP server.
    package var endpoint: DiagnosticsEndpoint.Configuration?
    /// klog's `--v`.
    package var verbosity: Int
    package var loggingFormat: KlogHandler.Format
    /// Flags of external-health-monitor that have no effect and were not given their default.
    package var ignoredFlags: [String]
    /// The value of each flag by its name, as given or by default.
    package var flagValues: [String: String]

    /// Validates the flags against each other, the environment and the file system.
    ///
    /// - Parameter nodeName: the environment variable NODE_NAME; nil if it is not set or empty.
    /// - Throws: ``UsageError`` for the first invalid flag.
    package init(_ flags: AgentFlags, nodeName: String?) throws(UsageError) {
        drivers = try Self.drivers(flags.drivers)
        kubeletRootPath = try Self.rootPath(flags.drivers.kubeletRootPath)
        timeout = flags.drivers.timeout.duration
        monitorInterval = flags.drivers.monitorInterval.duration
        workerThreads = Int(flags.drivers.workerThreads)
        reportMissingVolumes = flags.reports.reportMissingVolumes
        flappingThreshold = Int(flags.reports.flappingThreshold)
        readinessCondition = flags.reports.readinessCondition
        legacyReadiness = flags.reports.legacyReadiness
        nodeEvents = flags.reports.nodeEvents
        kubeconfig = flags.kubernetes.kubeconfig.isEmpty ? nil : flags.kubernetes.kubeconfig
        rateLimit = try RateLimit(qps: flags.kubernetes.kubeAPIQPS, burst: flags.kubernetes.kubeAPIBurst)
        endpoint = try flags.diagnostics.endpoint()
        verbosity = try flags.diagnostics.checkedVerbosity()
        loggingFormat = flags.diagnostics.loggingFormat
        ignoredFlags = flags.compatibility.changed
        flagValues = flags.values

        guard timeout > .zero else {
            throw UsageError(message: "--timeout must be greater than zero, such as 15s")
        }
        guard monitorInterval >= ControllerOptions.minimumInterval else {
            throw UsageError(message: "--monitor-interval must be at least 10ms, such as 1m")
        }
        guard workerThreads > 0 else {
            throw UsageError(message: "--worker-threads must be greater than zero")
        }
        guard 0...1000 ~= flappingThreshold else {
            throw UsageError(message: "--flapping-threshold must be between 1 and 1000, or 0")
        }
        guard readinessCondition || !legacyReadiness else {
            throw UsageError(message: "--legacy-readiness requires --readiness-condition")
        }
        if let kubeconfig {
            try FileCheck.checkReadable(kubeconfig: kubeconfig)
        }
        guard let nodeName else {
            throw UsageError(
                message: "the environment variable NODE_NAME is not set: add to the container's env "
                    + "{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}"
            )
        }
        self.nodeName = nodeName
    }

    private static func drivers(_ flags: AgentDriverFlags) throws(UsageError) -> NodeMonitorConfiguration.Drivers {
        let (only, except) = (flags.drivers.values, flags.excludeDrivers.values)
        guard flags.allDrivers else {
            guard only.isEmpty, except.isEmpty else {
                let name = only.isEmpty ? "--exclude-drivers" : "--drivers"
                throw UsageError(
                    message: "\(name) requires --all-drivers; --csi-address is the socket of one CSI driver"
                )
            }
            do throws(UsageError) {
                try FileCheck.checkSocketAddress(flags.csiAddress)
            } catch  where flags.csiAddress == AgentDriverFlags.defaultAddress {
                throw UsageError(
                    message: "\(error.message): set --csi-address to the socket of one CSI driver, or --all-drivers"
                )
            }
            return .socket(flags.csiAddress)
        }
        guard flags.csiAddress == AgentDriverFlags.defaultAddress else {
            throw UsageError(
                message: "only one of --csi-address and --all-drivers may be set; --drivers selects among all"
            )
        }
        if let name = only.intersection(except).min() {
            throw UsageError(message: "\(name) is in --drivers and in --exclude-drivers: remove it from one of them")
        }
        return .registered(only: only, except: except)
    }

    /// The path as the kubelet joins it with others: without slashes at its end.
    private static func rootPath(_ text: String) throws(UsageError) -> String {
        var path = Substring(text)
        while path.hasSuffix("/") { path.removeLast() }
        guard path.hasPrefix("/") else {
            throw UsageError(
                message: "--kubelet-root-path must be the absolute path of the kubelet's --root-dir, such as "
                    + "/var/lib/kubelet"
            )
        }
        return String(path)
    }
}

extension AgentOptions {
    /// nil: all drivers that are registered with the kubelet, or some of them.
    package var csiAddress: String? {
        if case .socket(let address) = drivers { address } else { nil }
    }

    package var monitorConfiguration: NodeMonitorConfiguration {
        var configuration = NodeMonitorConfiguration(nodeName: nodeName, drivers: drivers)
        configuration.kubeletRootPath = kubeletRootPath
        configuration.monitorInterval = monitorInterval
        configuration.timeout = timeout
        configuration.workerThreads = workerThreads
        configuration.reportsMissingVolumes = reportMissingVolumes
        configuration.flappingThreshold = flappingThreshold
        configuration.writesReadinessCondition = readinessCondition
        configuration.legacyAbnormalIsNotReady = legacyReadiness
        configuration.recordsNodeEvents = nodeEvents
        return configuration
    }
}
