// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import Testing

@testable import Flags
@testable import csi_health_monitor

/// The names, defaults and types of flags are an interface: manifests contain them.
@Suite struct FlagsTests {
    /// Those of external-health-monitor, except that kube-api-qps and kube-api-burst are 5 and 10 there. From
    /// list-max-entries on they are additions.
    private static let defaults = [
        "csi-address": "/run/csi/socket", "timeout": "15s", "monitor-interval": "1m", "list-volumes-interval": "5m",
        "volume-list-add-interval": "5m", "node-list-add-interval": "5m", "enable-node-watcher": "false",
        "worker-threads": "10", "resync": "10m", "kubeconfig": "", "kube-api-qps": "50", "kube-api-burst": "100",
        "http-endpoint": "", "metrics-address": "", "metrics-path": "/metrics", "leader-election": "false",
        "leader-election-namespace": "", "leader-election-lease-duration": "15s",
        "leader-election-renew-deadline": "10s", "leader-election-retry-period": "5s", "leader-election-labels": "",
        "version": "false", "automaxprocs": "false", "v": "0", "vmodule": "", "logging-format": "text",
        "log-flush-frequency": "5s", "log-text-split-stream": "false", "log-text-info-buffer-size": "0",
        "log-json-split-stream": "false", "log-json-info-buffer-size": "0", "logtostderr": "true",
        "alsologtostderr": "false", "stderrthreshold": "2", "log_dir": "", "log_file": "", "log_file_max_size": "1800",
        "one_output": "false", "skip_log_headers": "false", "skip_headers": "false", "add_dir_header": "false",
        "log_backtrace_at": "",
        "list-max-entries": "0", "report-missing-volumes": "true", "legacy-status": "true", "claim-condition": "auto",
        "volume-secrets": "none",
        "node-failure-duration": "5m", "probe-qps": "0", "node-deployment": "false", "missing-volumes-hold": "10m",
        "report-unanswered-after": "15m", "unhealthy-interval": "0s", "abnormal-after": "0s", "recover-after": "0s",
        "flapping-threshold": "6", "outage-threshold-percent": "5", "outage-threshold-volumes": "5",
        "warm-standby": "false", "driver-unavailable-timeout": "", "status-page": "true",
    ]

    private var helpEntries: [HelpEntry] { HelpEntry.entries(of: ControllerCommand.self) }

    @Test func `the flags and their defaults are those of external-health-monitor`() {
        let found = helpEntries.map { ($0.name, $0.defaultText) }
        #expect(Dictionary(uniqueKeysWithValues: found) == Self.defaults)
    }

    @Test func `exactly the boolean flags need no value`() {
        #expect(Set(helpEntries.filter { $0.value == "bool" }.map(\.name)) == ControllerFlags.booleans)
    }

    @Test func `the defaults in the help are the defaults`() throws {
        // Arguments with the default values change nothing.
        let arguments = Self.defaults.map { "--\($0.key)=\($0.value)" } + ["--csi-address=/tmp/csi.sock"]
        #expect(try options(arguments) == options(["--csi-address=/tmp/csi.sock"]))
    }

    @Test func `arguments of external-health-monitor are accepted`() throws {
        _ = try options([
            "-v=5", "--csi-address=/tmp/csi.sock", "--leader-election", "--http-endpoint=:8080", "-timeout", "30s",
            "--monitor-interval=90s", "--volume-list-add-interval=1m", "--node-list-add-interval=1m",
            "--enable-node-watcher=true", "--worker-threads=20", "--resync=1h", "--automaxprocs",
            "--vmodule=main=3,pv*=5", "--log-flush-frequency=1s", "--log-text-split-stream",
            "--log-text-info-buffer-size=64Ki", "--log-json-split-stream=f", "--log-json-info-buffer-size=1M",
        ])
    }

    @Test(arguments: [
        ("--foo=1", "Unknown option '--foo'. Did you mean '--v'?"),
        ("--csi-adress=/x", "Unknown option '--csi-adress'. Did you mean '--csi-address'?"),
        ("--nonsense-of-a-flag", "Unknown option '--nonsense-of-a-flag'"),
        ("stray", "unexpected argument \"stray\""),
        ("--timeout", "Missing value for '--timeout <duration>'"),
        (
            "--timeout=5",
            "The value '5' is invalid for '--timeout <duration>': write numbers with units, such as 1m30s, 1.5h or 300ms"
        ),
        ("--leader-election=maybe", "The value 'maybe' is invalid for '--leader-election <bool>': write true or false"),
        (
            "--kube-api-burst=1.5",
            "The value '1.5' is invalid for '--kube-api-burst <count>': write a whole number, such as 10"
        ),
        (
            "--kube-api-qps=x",
            "The value 'x' is invalid for '--kube-api-qps <number>': write a number, such as 5 or 0.5"
        ),
        (
            "--kube-api-qps=inf",
            "The value 'inf' is invalid for '--kube-api-qps <number>': write a number, such as 5 or 0.5"
        ),
        ("--logging-format=xml", "The value 'xml' is invalid for '--logging-format <format>': write text or json"),
        ("--vmodule=x", "The value 'x' is invalid for '--vmodule <pattern=N,...>': write pattern=N,pattern=N"),
        (
            "--stderrthreshold=DEBUG",
            "The value 'DEBUG' is invalid for '--stderrthreshold <severity>': "
                + "write INFO, WARNING, ERROR, FATAL or a number"
        ),
        (
            "--log_file_max_size=-1",
            "The value '-1' is invalid for '--log_file_max_size <megabytes>': "
                + "write a whole number that is not negative, such as 10"
        ),
        ("--log_backtrace_at=a:1", "The value 'a:1' is invalid for '--log_backtrace_at <file:N>': write file.go:N"),
        (
            "--log-json-info-buffer-size=1Q",
            "The value '1Q' is invalid for '--log-json-info-buffer-size <bytes>': "
                + "write a number of bytes, such as 512, 64Ki or 1M"
        ),
        (
            "--resync=never",
            "The value 'never' is invalid for '--resync <duration>': "
                + "write numbers with units, such as 1m30s, 1.5h or 300ms"
        ),
        ("--timeout=0", "--timeout must be greater than zero, such as 15s"),
        ("--list-volumes-interval=5ms", "--list-volumes-interval must be at least 10ms, such as 5m"),
        ("--list-max-entries=-1", "--list-max-entries must not be negative; 0 leaves it to the driver"),
        ("--monitor-interval=0", "--monitor-interval must be at least 10ms, such as 1m"),
        (
            "--volume-secrets=all",
            "The value 'all' is invalid for '--volume-secrets <kind>': "
                + "write none, controller-publish, controller-expand or node-stage"
        ),
        ("--worker-threads=0", "--worker-threads must be greater than zero"),
        ("--probe-qps=-1", "--probe-qps must be 0 for no limit, or at least 0.001"),
        ("--report-unanswered-after=-1s", "--report-unanswered-after must not be negative; 0 disables it"),
        ("--unhealthy-interval=5ms", "--unhealthy-interval must be at least 10ms, such as 15s, or 0"),
        ("--abnormal-after=-1s", "--abnormal-after must not be negative, such as 2m"),
        ("--recover-after=-1s", "--recover-after must not be negative, such as 2m"),
        ("--flapping-threshold=-1", "--flapping-threshold must be between 1 and 1000, or 0"),
        ("--outage-threshold-percent=101", "--outage-threshold-percent must be between 0 and 100"),
        ("--outage-threshold-volumes=-1", "--outage-threshold-volumes must not be negative"),
        ("--missing-volumes-hold=-1s", "--missing-volumes-hold must not be negative, such as 10m"),
        ("--kube-api-burst=-1", "--kube-api-burst must not be negative"),
        ("--kube-api-qps=0", "--kube-api-qps must not be 0: write a rate, such as 50, or -1 for no limit"),
        ("--v=-1", "--v must not be negative; 0 logs the least"),
    ])
    func `an error names the flag and what to write`(argument: String, message: String) {
        #expect(failure(of: [argument]) == message)
    }

    @Test func `the command controller may be named`() throws {
        let flags = ["--csi-address=/tmp/no-such-driver.sock", "-v=3"]
        #expect(try options(["controller"] + flags) == options(flags))
        #expect(failure(of: ["--v=3", "controller"]) == "unexpected argument \"controller\"")
    }

    @Test(arguments: ["true", "TRUE", "True", "t", "T", "1"])
    func `Go's words for true are accepted`(word: String) throws {
        #expect(try Bool(flag: word))
    }

    @Test(arguments: ["false", "FALSE", "False", "f", "F", "0"])
    func `Go's words for false are accepted`(word: String) throws {
        #expect(try !Bool(flag: word))
    }

    @Test func `the last value of a repeated flag counts`() throws {
        #expect(try options(["--csi-address=/tmp/no-such-driver.sock", "-v=1", "-v=3"]).verbosity == 3)
    }

    @Test(arguments: [
        ("", [:]), ("a:b", ["a": "b"]), ("a:b,example.com/team:storage", ["a": "b", "example.com/team": "storage"]),
        ("a:", ["a": ""]), ("a.b_c-D:1", ["a.b_c-D": "1"]),
    ])
    func `labels are parsed`(text: String, expected: [String: String]) throws {
        #expect(try Labels(flag: text).values == expected)
    }

    @Test(arguments: [
        "a", "a:b:c", ":b", ",", "a:b,", "a:b,,c:d", "a b:c", "-a:b", "a:b-", "a/b/c:d", "/a:b", "A.com/a:b",
        "a..b/c:d",
        "a=b", "é:b", String(repeating: "a", count: 64) + ":b", "a:" + String(repeating: "b", count: 64),
    ])
    func `an invalid label is named`(text: String) {
        let error = #expect(throws: UsageError.self) { try Labels(flag: text) }
        #expect(error?.message.hasPrefix("invalid label \"") == true)
    }

    @Test func `a duplicate label is refused`() {
        #expect(throws: UsageError(message: "duplicate label a")) { try Labels(flag: "a:b,a:c") }
    }
}

/// The options for `arguments`.
func options(_ arguments: [String]) throws -> ControllerOptions {
    let command = try #require(try Program.parse(arguments) as? ControllerCommand)
    return try ControllerOptions(command.flags)
}

/// The error message for `arguments`, nil if they are valid.
func failure(of arguments: [String]) -> String? {
    do {
        _ = try options(arguments)
        return nil
    } catch {
        return ControllerCommand.message(for: error)
    }
}
