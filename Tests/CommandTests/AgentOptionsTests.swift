// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import HTTPEndpoint
import KlogLogging
import KubernetesClient
import NodeMonitor
import Testing

@testable import Flags
@testable import csi_health_monitor

/// The names, defaults and types of flags are an interface: manifests contain them.
@Suite struct AgentOptionsTests {
    /// Those of the agent of external-health-monitor 0.2 up to v, then additions, component-base's and klog's.
    private static let defaults = [
        "csi-address": "/run/csi/socket", "timeout": "15s", "monitor-interval": "1m", "worker-threads": "10",
        "kubelet-root-path": "/var/lib/kubelet", "kubeconfig": "", "resync": "10m", "metrics-address": "",
        "http-endpoint": "", "metrics-path": "/metrics", "version": "false", "v": "0",
        "all-drivers": "false", "drivers": "", "exclude-drivers": "", "report-missing-volumes": "true",
        "flapping-threshold": "6", "readiness-condition": "false", "legacy-readiness": "false",
        "node-events": "false", "kube-api-qps": "5",
        "kube-api-burst": "10", "logging-format": "text", "automaxprocs": "false", "vmodule": "",
        "log-flush-frequency": "5s", "log-text-split-stream": "false", "log-text-info-buffer-size": "0",
        "log-json-split-stream": "false", "log-json-info-buffer-size": "0", "logtostderr": "true",
        "alsologtostderr": "false", "stderrthreshold": "2", "log_dir": "", "log_file": "", "log_file_max_size": "1800",
        "one_output": "false", "skip_log_headers": "false", "skip_headers": "false", "add_dir_header": "false",
        "log_backtrace_at": "",
    ]

    private let csiAddress = "--csi-address=/tmp/csi.sock"

    private func options(_ arguments: [String], nodeName: String? = "n1") throws -> AgentOptions {
        let command = try #require(try Program.parse(["agent"] + arguments) as? AgentCommand)
        return try AgentOptions(command.flags, nodeName: nodeName)
    }

    private func failure(_ arguments: [String], nodeName: String? = "n1") -> String? {
        do {
            _ = try options(arguments, nodeName: nodeName)
            return nil
        } catch {
            return AgentCommand.message(for: error)
        }
    }

    @Test func `the flags and their defaults are those of external-health-monitor's agent and the documented ones`() {
        let found = HelpEntry.entries(of: AgentCommand.self).map { ($0.name, $0.defaultText) }
        #expect(Dictionary(uniqueKeysWithValues: found) == Self.defaults)
    }

    @Test func `exactly the boolean flags need no value`() {
        let entries = HelpEntry.entries(of: AgentCommand.self)
        #expect(Set(entries.filter { $0.value == "bool" }.map(\.name)) == AgentFlags.booleans)
    }

    @Test func `the defaults in the help are the defaults`() throws {
        let arguments = Self.defaults.map { "--\($0.key)=\($0.value)" } + [csiAddress]
        #expect(try options(arguments) == options([csiAddress]))
    }

    @Test func `docs/agent.md has the flags of the help that have an effect, with their defaults`() throws {
        let documented = try FlagTable.flags(ofPage: "docs/agent.md")
        let help = HelpEntry.effectiveEntries(of: AgentCommand.self)
        #expect(documented == Dictionary(uniqueKeysWithValues: help.map { ($0.name, $0.defaultText) }))
    }

    @Test func `arguments of external-health-monitor's agent are accepted`() throws {
        let options = try options(["--v=5", csiAddress, "-worker-threads", "3", "--resync=1h", "--timeout=30s"])
        #expect(options.timeout == .seconds(30))
        #expect(options.workerThreads == 3)
        #expect(options.ignoredFlags == ["resync"])
    }

    /// Those of `klog.InitFlags`, which the agent of external-health-monitor calls.
    @Test(arguments: [
        (["-logtostderr"], []),
        (["-logtostderr=true", "--stderrthreshold", "error", "-log_file_max_size=1800", "--log_dir="], []),
        (["-logtostderr=false", "-alsologtostderr"], ["logtostderr", "alsologtostderr"]),
        (["-stderrthreshold=1", "-vmodule=gfs*=3"], ["vmodule", "stderrthreshold"]),
        (
            ["-log_dir", "/var/log", "-log_file", "-", "-log_file_max_size", "0"],
            ["log_dir", "log_file", "log_file_max_size"]
        ),
        (
            [
                "-one_output", "-skip_log_headers=1", "--skip_headers", "--add_dir_header=T", "-log_backtrace_at",
                "a.go:1",
            ],
            ["one_output", "skip_log_headers", "skip_headers", "add_dir_header", "log_backtrace_at"]
        ),
    ])
    func `klog's flags are accepted in Go's syntax and ignored`(arguments: [String], ignored: [String]) throws {
        let options = try options(arguments + [csiAddress])
        #expect(options.ignoredFlags == ignored)
        #expect(options.csiAddress == "/tmp/csi.sock")
    }

    @Test(arguments: ["-stderrthreshold=debug", "-log_backtrace_at=main:1", "-log_file_max_size=-1", "-one_output=no"])
    func `an invalid value of a flag of klog's is refused`(argument: String) {
        #expect(failure([argument, csiAddress])?.hasPrefix("The value ") == true)
    }

    @Test func `by default one driver is monitored and nothing but events is written`() throws {
        let options = try options([csiAddress])
        #expect(options.nodeName == "n1")
        #expect(options.csiAddress == "/tmp/csi.sock")
        #expect(options.endpoint == nil)
        #expect(options.kubeconfig == nil)
        #expect(options.rateLimit == RateLimit(queriesPerSecond: 5, burst: 10))
        let monitor = options.monitorConfiguration
        let expected = NodeMonitorConfiguration(nodeName: "n1", drivers: .socket("/tmp/csi.sock"))
        #expect(monitor.drivers == expected.drivers)
        #expect(monitor.kubeletRootPath == expected.kubeletRootPath)
        #expect(monitor.monitorInterval == expected.monitorInterval)
        #expect(monitor.timeout == expected.timeout)
        #expect(monitor.workerThreads == expected.workerThreads)
        #expect(monitor.reportsMissingVolumes)
        #expect(!monitor.writesReadinessCondition)
        #expect(!monitor.legacyAbnormalIsNotReady)
        #expect(!monitor.recordsNodeEvents)
    }

    @Test func `every flag sets its option`() throws {
        let options = try options([
            "--all-drivers", "--drivers=a.csi,b.csi", "--exclude-drivers=c.csi",
            "--kubelet-root-path=/var/lib/k0s/kubelet/",
            "--timeout=1m30s", "--monitor-interval=30s", "--worker-threads=3", "--report-missing-volumes=false",
            "--readiness-condition", "--legacy-readiness", "--node-events", "--kubeconfig=/dev/null",
            "--flapping-threshold=4",
            "--kube-api-qps=-1", "--http-endpoint=:9808", "--metrics-path=/m", "--v=4", "--logging-format=json",
        ])
        #expect(options.csiAddress == nil)
        #expect(options.kubeconfig == "/dev/null")
        #expect(options.rateLimit == nil)
        #expect(try options.endpoint?.address == ListenAddress(parsing: ":9808"))
        #expect(options.endpoint?.metricsPath == "/m")
        #expect(options.verbosity == 4)
        #expect(options.loggingFormat == .json)
        let monitor = options.monitorConfiguration
        #expect(monitor.nodeName == "n1")
        #expect(monitor.drivers == .registered(only: ["a.csi", "b.csi"], except: ["c.csi"]))
        // The kubelet cleans its --root-dir.
        #expect(monitor.kubeletRootPath == "/var/lib/k0s/kubelet")
        #expect(monitor.timeout == .seconds(90))
        #expect(monitor.monitorInterval == .seconds(30))
        #expect(monitor.workerThreads == 3)
        #expect(!monitor.reportsMissingVolumes)
        #expect(monitor.flappingThreshold == 4)
        #expect(monitor.writesReadinessCondition)
        #expect(monitor.legacyAbnormalIsNotReady)
        #expect(monitor.recordsNodeEvents)
    }

    @Test func `without NODE_NAME the error shows the downward API`() {
        #expect(
            failure([csiAddress], nodeName: nil)
                == "the environment variable NODE_NAME is not set: add to the container's env "
                + "{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}"
        )
    }

    @Test(arguments: [
        (
            ["--all-drivers", "--csi-address=/tmp/csi.sock"],
            "only one of --csi-address and --all-drivers may be set; --drivers selects among all"
        ),
        (["--csi-address=/tmp/csi.sock", "--drivers=a"], "--drivers requires --all-drivers; "),
        (["--csi-address=/tmp/csi.sock", "--exclude-drivers=a"], "--exclude-drivers requires --all-drivers; "),
        (
            ["--all-drivers", "--drivers=b.csi,a.csi", "--exclude-drivers=a.csi"],
            "a.csi is in --drivers and in --exclude-drivers: remove it from one of them"
        ),
        (
            ["--all-drivers", "--drivers=a.csi,,b.csi"],
            "The value 'a.csi,,b.csi' is invalid for '--drivers <name,...>': \"\" is not the name of a CSI driver: "
        ),
        (["--all-drivers", "--drivers=a/b"], "The value 'a/b' is invalid for '--drivers <name,...>': \"a/b\" is not"),
        (["--all-drivers", "--kubelet-root-path=kubelet"], "--kubelet-root-path must be the absolute path of "),
        (["--all-drivers", "--kubelet-root-path=/"], "--kubelet-root-path must be the absolute path of "),
        (["--all-drivers", "--legacy-readiness"], "--legacy-readiness requires --readiness-condition"),
        (["--all-drivers", "--timeout=0"], "--timeout must be greater than zero, such as 15s"),
        (["--all-drivers", "--monitor-interval=5ms"], "--monitor-interval must be at least 10ms, such as 1m"),
        (["--all-drivers", "--worker-threads=0"], "--worker-threads must be greater than zero"),
        (["--all-drivers", "--flapping-threshold=-1"], "--flapping-threshold must be between 1 and 1000, or 0"),
        (["--all-drivers", "--kube-api-qps=0"], "--kube-api-qps must not be 0: "),
        (["--all-drivers", "--v=-1"], "--v must not be negative; 0 logs the least"),
        (
            ["--all-drivers", "--http-endpoint=:1", "--metrics-address=:2"],
            "only one of --metrics-address and --http-endpoint may be set"
        ),
        (
            ["--all-drivers", "--kubeconfig=/nowhere/k"],
            "--kubeconfig: cannot read /nowhere/k: No such file or directory"
        ),
        (["--csi-address=/nowhere/csi.sock"], "--csi-address: cannot access /nowhere: No such file or directory"),
        (
            [],
            "--csi-address: cannot access /run/csi: No such file or directory: set --csi-address to the socket of one CSI "
                + "driver, or --all-drivers"
        ),
        (["--all-drivers", "--claim-events"], "Unknown option '--claim-events'"),
        (["--all-drivers", "stray"], "unexpected argument \"stray\""),
    ])
    func `an error names the flag and what to write`(arguments: [String], message: String) {
        let failure = failure(arguments)
        #expect(failure?.hasPrefix(message) == true, "\(failure ?? "no error")")
    }

    @Test(arguments: ["", String(repeating: "a", count: 64), "-a", "a-", "a_b", "é", "a b"])
    func `a text that is no driver's name is refused`(text: String) {
        #expect(throws: UsageError.self) { try DriverNames(flag: "x,\(text)") }
    }

    @Test(arguments: ["a", "EBS.csi.aws.com", "com.example-1", String(repeating: "a", count: 63)])
    func `the name of a driver is accepted`(text: String) throws {
        #expect(try DriverNames(flag: text).values == [text])
    }
}
