// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import ControllerCore
import ControllerMonitor
import Foundation
import HTTPEndpoint
import HealthCore
import HealthRuntime
import InMemoryLogging
import KlogLogging
import KubernetesClient
import LeaderElection
import Logging
import Testing

@testable import Flags
@testable import csi_health_monitor

@Suite struct ControllerOptionsTests {
    private let csiAddress = "--csi-address=/tmp/csi.sock"

    @Test func `by default there is no HTTP server and no leader election`() throws {
        let options = try options([csiAddress])
        #expect(options.csiAddress == "/tmp/csi.sock")
        #expect(options.timeout == .seconds(15))
        #expect(options.listVolumesInterval == .seconds(300))
        #expect(options.listMaxEntries == 0)
        #expect(options.kubeconfig == nil)
        #expect(options.rateLimit == RateLimit(queriesPerSecond: 50, burst: 100))
        #expect(options.monitorInterval == .seconds(60))
        #expect(options.workerThreads == 10)
        #expect(options.reportMissingVolumes)
        #expect(options.legacyStatus)
        #expect(options.claimCondition == .auto)
        #expect(options.nodeFailureDuration == nil)
        #expect(options.volumeSecrets == .none)
        #expect(options.ignoredFlags.isEmpty)
        #expect(options.flagsWithoutLeaderElection.isEmpty)
        #expect(options.endpoint == nil)
        #expect(options.leaderElection == nil)
        #expect(options.verbosity == 0)
        #expect(options.loggingFormat == .text)
    }

    @Test func `the metrics are configured with the intervals and the build`() throws {
        let metrics = SidecarMetrics.Configuration(
            try options([csiAddress, "--list-volumes-interval=2m", "--monitor-interval=90s"])
        )
        #expect(metrics.listVolumesInterval == .seconds(120))
        #expect(metrics.monitorInterval == .seconds(90))
        #expect(metrics.build.version == Program.version)
        let revision = ProcessInfo.processInfo.environment["CSI_HEALTH_MONITOR_REVISION"] ?? "unknown"
        #expect(metrics.build.revision == revision)
        #expect(metrics.build.swiftVersion.hasPrefix("6."))
    }

    @Test func `every flag sets its option`() throws {
        let options = try options([
            "--csi-address=unix:///tmp/csi.sock", "--timeout=1m30s", "--list-volumes-interval=1.5h",
            "--list-max-entries=100", "--kubeconfig=/dev/null", "--kube-api-qps=0.5", "--kube-api-burst=3",
            "--http-endpoint=[::1]:9808", "--metrics-path=/m", "--leader-election",
            "--leader-election-namespace=storage", "--leader-election-lease-duration=137s",
            "--leader-election-renew-deadline=107s", "--leader-election-retry-period=26s",
            "--leader-election-labels=team:storage", "--v=5", "--logging-format=json", "--monitor-interval=30s",
            "--worker-threads=3", "--report-missing-volumes=false", "--legacy-status=false", "--enable-node-watcher",
            "--node-failure-duration=90s", "--volume-secrets=node-stage", "--probe-qps=0.5",
            "--missing-volumes-hold=2m", "--report-unanswered-after=20m", "--claim-condition=always", "--warm-standby",
            "--driver-unavailable-timeout=2m", "--unhealthy-interval=20s", "--abnormal-after=2m", "--recover-after=3m",
            "--flapping-threshold=4",
        ])
        #expect(options.csiAddress == "unix:///tmp/csi.sock")
        #expect(options.timeout == .seconds(90))
        #expect(options.reportUnansweredAfter == .seconds(1200))
        #expect(options.listVolumesInterval == .seconds(5400))
        #expect(options.listMaxEntries == 100)
        #expect(options.kubeconfig == "/dev/null")
        #expect(options.claimCondition == .always)
        #expect(options.rateLimit == RateLimit(queriesPerSecond: 0.5, burst: 3))
        #expect(options.endpoint?.address == ListenAddress(host: "::1", port: 9808))
        #expect(options.endpoint?.metricsPath == "/m")
        #expect(
            options.leaderElection
                == ControllerOptions.LeaderElection(
                    namespace: "storage",
                    timing: try LeaderElectionTiming(
                        leaseDuration: .seconds(137),
                        renewDeadline: .seconds(107),
                        retryPeriod: .seconds(26)
                    ),
                    labels: ["team": "storage"],
                    driverUnavailableTimeout: .seconds(120),
                    warmStandby: true
                )
        )
        #expect(options.verbosity == 5)
        #expect(options.nodeFailureDuration == .seconds(90))
        let monitor = options.monitorConfiguration(driverName: "d", identity: "i")
        #expect(monitor.driverName == "d")
        #expect(monitor.identity == "i")
        #expect(monitor.listVolumesInterval == .seconds(5400))
        #expect(monitor.monitorInterval == .seconds(30))
        #expect(monitor.workerThreads == 3)
        #expect(monitor.unhealthyInterval == .seconds(20))
        #expect(monitor.holdTimes == HoldTimes(abnormalAfter: .seconds(120), recoverAfter: .seconds(180)))
        #expect(monitor.flappingThreshold == 4)
        #expect(!monitor.reportsMissingVolumes)
        #expect(monitor.probesPerSecond == 0.5)
        #expect(monitor.missingVolumesHold == .seconds(120))
        #expect(!monitor.writesLegacyStatus)
        #expect(monitor.volumeSecrets == .nodeStage)
        #expect(monitor.nodeFailureDuration == .seconds(90))
        #expect(monitor.reopensWatches)
        #expect(options.loggingFormat == .json)
    }

    // MARK: The driver's socket and the kubeconfig

    @Test(arguments: [
        "/tmp/csi.sock", "unix:///tmp/csi.sock", "unix:/tmp/csi.sock", "unix:csi.sock", "/csi.sock",
    ])
    func `a socket that does not exist yet is accepted`(address: String) throws {
        #expect(try options(["--csi-address=\(address)"]).csiAddress == address)
    }

    @Test(arguments: [
        ("", "the address is empty: write the path of a socket, such as /run/csi/socket"),
        ("run/csi.sock", "\"run/csi.sock\" is a relative path: write an absolute one, such as /run/csi/socket"),
        (
            "tcp://127.0.0.1:5000",
            "\"tcp://127.0.0.1:5000\" is not supported, only Unix domain sockets are: write a path, such as /run/csi/socket"
        ),
        (
            "unix://run/csi.sock",
            "\"unix://run/csi.sock\" has no absolute path: write unix:///run/csi/socket or /run/csi/socket"
        ),
        (
            "unix:///tmp",
            "/tmp is a directory, not a socket: write the path of the driver's socket, such as /run/csi/socket"
        ),
        (
            "/etc/passwd",
            "/etc/passwd is a regular file, not a socket: write the path of the driver's socket, such as /run/csi/socket"
        ),
    ])
    func `an address that is not the path of a socket is refused`(address: String, message: String) {
        #expect(failure(of: ["--csi-address", address]) == "--csi-address: \(message)")
    }

    @Test func `an address that is too long for a socket is refused`() {
        let path = "/tmp/" + String(repeating: "a", count: 120)
        #expect(failure(of: ["--csi-address=\(path)"])?.hasPrefix("--csi-address: the socket path /tmp/aaa") == true)
    }

    @Test(arguments: ["/nowhere/at/all/csi.sock", "unix:///nowhere/at/all/csi.sock"])
    func `the error names a socket directory that does not exist`(address: String) {
        #expect(
            failure(of: ["--csi-address=\(address)"])
                == "--csi-address: cannot access /nowhere/at/all: No such file or directory"
        )
    }

    @Test func `the error names a socket directory that is a file`() {
        #expect(failure(of: ["--csi-address=/dev/null/csi.sock"]) == "--csi-address: /dev/null is not a directory")
    }

    @Test(arguments: [
        ("/nowhere/config", "cannot read /nowhere/config: No such file or directory"),
        ("/tmp", "/tmp is a directory, not a file"),
    ])
    func `the error names a kubeconfig that cannot be read`(path: String, message: String) {
        #expect(failure(of: [csiAddress, "--kubeconfig=\(path)"]) == "--kubeconfig: \(message)")
    }

    @Test func `an empty --kubeconfig selects the service account`() throws {
        #expect(try options([csiAddress, "--kubeconfig="]).kubeconfig == nil)
        #expect(try options([csiAddress, "--kubeconfig", ""]).kubeconfig == nil)
    }

    // MARK: The API server

    @Test func `a burst of 0 means 10 and a negative rate means no limit, as in client-go`() throws {
        let zero = try options([csiAddress, "--kube-api-burst=0"])
        #expect(zero.rateLimit == RateLimit(queriesPerSecond: 50, burst: 10))
        #expect(try options([csiAddress, "--kube-api-qps=-1"]).rateLimit == nil)
    }

    // MARK: Flags without effect

    @Test func `a flag without effect is reported only if its value is not external-health-monitor's default`() throws {
        let options = try options([
            csiAddress, "--resync=1h", "--automaxprocs", "--volume-list-add-interval=5m",
            "--log-text-split-stream=false",
        ])
        #expect(options.ignoredFlags == ["resync", "automaxprocs"])
    }

    @Test func `every flag that is accepted for compatibility is reported as ignored`() throws {
        let options = try options([
            csiAddress, "--volume-list-add-interval=1s", "--node-list-add-interval=1s", "--resync=1s", "--automaxprocs",
            "--vmodule=a=1", "--log-flush-frequency=1s", "--log-text-split-stream", "--log-text-info-buffer-size=1",
            "--log-json-split-stream", "--log-json-info-buffer-size=1", "--logtostderr=false", "--alsologtostderr",
            "--stderrthreshold=INFO", "--log_dir=/tmp", "--log_file=/tmp/log", "--log_file_max_size=1", "--one_output",
            "--skip_log_headers", "--skip_headers", "--add_dir_header", "--log_backtrace_at=main.go:1",
        ])
        let help = ControllerCommand.helpMessage(columns: 1000)
        let section = try #require(help.components(separatedBy: "ACCEPTED FOR COMPATIBILITY:").last)
        let names = section.split(separator: "\n").filter { $0.hasPrefix("  --") }.map {
            String($0.dropFirst(4).prefix { $0 != " " })
        }
        #expect(Set(options.ignoredFlags) == Set(names))
    }

    @Test func `flags that require leader election cause a warning without it`() throws {
        let arguments = [csiAddress, "--warm-standby", "--driver-unavailable-timeout=1m"]
        let flags = ["warm-standby", "driver-unavailable-timeout"]
        #expect(try options(arguments).flagsWithoutLeaderElection == flags)
        #expect(try options(arguments + ["--leader-election"]).flagsWithoutLeaderElection.isEmpty)

        let log = InMemoryLogHandler()
        Controller.logIgnoredFlags(of: try options(arguments), to: Logger(label: "test") { _ in log })
        #expect(log.entries.map { "\($0.message)" } == ["Ignored flags that require --leader-election"])
        #expect(log.entries.map(\.level) == [.warning])
        #expect(log.entries.first?.metadata["flags"] == "\(flags.joined(separator: " "))")
    }

    // MARK: The endpoint

    @Test func `--metrics-address is the deprecated name of --http-endpoint`() throws {
        let options = try options([csiAddress, "--metrics-address=:8080"])
        #expect(options.endpoint?.address == ListenAddress(host: "", port: 8080))
        #expect(options.endpoint?.metricsPath == "/metrics")
    }

    @Test(arguments: [
        (
            ["--http-endpoint=:1", "--metrics-address=:2"],
            "only one of --metrics-address and --http-endpoint may be set"
        ),
        (["--http-endpoint=:1", "--metrics-path=m"], "--metrics-path must begin with a slash, as in /metrics"),
        (
            ["--http-endpoint=8080"],
            "--http-endpoint: invalid listen address \"8080\": it has no port: write :8080, 127.0.0.1:8080 or [::1]:8080"
        ),
        (
            ["--metrics-address=:x"],
            "--metrics-address: invalid listen address \":x\": the port is not a number from 0 to 65535: "
                + "write :8080, 127.0.0.1:8080 or [::1]:8080"
        ),
    ])
    func `an invalid endpoint is refused`(arguments: [String], message: String) {
        #expect(failure(of: [csiAddress] + arguments) == message)
    }

    // MARK: Leader election

    @Test(arguments: [
        (
            ["--leader-election-lease-duration=10s"],
            "invalid --leader-election flags: the lease duration (10.0 seconds, stored in whole seconds) must be greater "
                + "than the renew deadline (10.0 seconds)"
        ),
        (
            ["--leader-election-lease-duration=10.9s", "--leader-election-renew-deadline=10.5s"],
            "invalid --leader-election flags: the lease duration (10.9 seconds, stored in whole seconds) must be greater "
                + "than the renew deadline (10.5 seconds)"
        ),
        (
            ["--leader-election-renew-deadline=6s"],
            "invalid --leader-election flags: the renew deadline (6.0 seconds) must be greater than 1.2 x the retry period "
                + "(5.0 seconds)"
        ),
        (
            ["--leader-election-retry-period=0"],
            "invalid --leader-election flags: the retry period (0.0 seconds) must be greater than zero"
        ),
        (
            ["--leader-election-lease-duration=900ms", "--leader-election-renew-deadline=1ms"],
            "invalid --leader-election flags: the lease duration (0.9 seconds) must be at least 1 second"
        ),
    ])
    func `invalid timings of leader election are refused`(arguments: [String], message: String) throws {
        #expect(failure(of: [csiAddress, "--leader-election"] + arguments) == message)
        // Without leader election they have no effect.
        #expect(try options([csiAddress] + arguments).leaderElection == nil)
    }
}
