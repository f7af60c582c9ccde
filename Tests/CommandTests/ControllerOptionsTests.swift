// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Diagnostics
import Foundation
import Testing

@testable import csi_health_monitor

@Suite struct ControllerOptionsTests {
    private let csiAddress = "--csi-address=/tmp/csi.sock"

    @Test func withoutFlagsThereIsNoEndpointAndNoLease() throws {
        let options = try options([csiAddress])
        #expect(options.csiAddress == "/tmp/csi.sock")
        #expect(options.timeout == .seconds(15))
        #expect(options.listVolumesInterval == .seconds(300))
        #expect(options.listMaxEntries == 0)
        #expect(options.kubeconfig == nil)
        #expect(options.rateLimit == ControllerOptions.RateLimit(queriesPerSecond: 5, burst: 10))
        #expect(options.endpoint == nil)
        #expect(options.leaderElection == nil)
        #expect(options.verbosity == 0)
        #expect(options.loggingFormat == .text)
    }

    @Test func everyFlagArrives() throws {
        let options = try options([
            "--csi-address=unix:///tmp/csi.sock", "--timeout=1m30s", "--list-volumes-interval=1.5h",
            "--list-max-entries=100", "--kubeconfig=/dev/null", "--kube-api-qps=0.5", "--kube-api-burst=3",
            "--http-endpoint=[::1]:9808", "--metrics-path=/m", "--leader-election",
            "--leader-election-namespace=storage", "--leader-election-lease-duration=137s",
            "--leader-election-renew-deadline=107s", "--leader-election-retry-period=26s",
            "--leader-election-labels=team:storage", "--v=5", "--logging-format=json",
        ])
        #expect(options.csiAddress == "unix:///tmp/csi.sock")
        #expect(options.timeout == .seconds(90))
        #expect(options.listVolumesInterval == .seconds(5400))
        #expect(options.listMaxEntries == 100)
        #expect(options.kubeconfig == "/dev/null")
        #expect(options.rateLimit == ControllerOptions.RateLimit(queriesPerSecond: 0.5, burst: 3))
        #expect(options.endpoint?.address == ListenAddress(host: "::1", port: 9808))
        #expect(options.endpoint?.metricsPath == "/m")
        #expect(
            options.leaderElection
                == ControllerOptions.LeaderElection(
                    namespace: "storage",
                    leaseDuration: .seconds(137),
                    renewDeadline: .seconds(107),
                    retryPeriod: .seconds(26),
                    labels: ["team": "storage"]
                )
        )
        #expect(options.verbosity == 5)
        #expect(options.loggingFormat == .json)
    }

    // MARK: The driver's socket and the kubeconfig

    @Test(arguments: [
        "/tmp/csi.sock", "unix:///tmp/csi.sock", "unix:/tmp/csi.sock", "unix:csi.sock", "/csi.sock", "dns:host:1",
    ])
    func aSocketThatMayYetComeIsTaken(address: String) throws {
        #expect(try options(["--csi-address=\(address)"]).csiAddress == address)
    }

    @Test(arguments: ["/nowhere/at/all/csi.sock", "unix:///nowhere/at/all/csi.sock"])
    func aMissingSocketDirectoryIsNamed(address: String) {
        #expect(
            failure(of: ["--csi-address=\(address)"])
                == "--csi-address: there is no directory /nowhere/at/all: No such file or directory"
        )
    }

    @Test func aSocketDirectoryThatIsAFileIsNamed() {
        #expect(failure(of: ["--csi-address=/dev/null/csi.sock"]) == "--csi-address: /dev/null is not a directory")
    }

    @Test(arguments: [
        ("/nowhere/config", "cannot read /nowhere/config: No such file or directory"),
        ("/tmp", "/tmp is a directory, not a file"),
    ])
    func anUnreadableKubeconfigIsNamed(path: String, message: String) {
        #expect(failure(of: [csiAddress, "--kubeconfig=\(path)"]) == "--kubeconfig: \(message)")
    }

    @Test func anEmptyKubeconfigIsNone() throws {
        #expect(try options([csiAddress, "--kubeconfig="]).kubeconfig == nil)
        #expect(try options([csiAddress, "--kubeconfig", ""]).kubeconfig == nil)
    }

    // MARK: The API server

    @Test func zeroIsTheDefaultAndANegativeRateIsNoBound() throws {
        let zero = try options([csiAddress, "--kube-api-qps=0", "--kube-api-burst=0"])
        #expect(zero.rateLimit == ControllerOptions.RateLimit(queriesPerSecond: 5, burst: 10))
        #expect(try options([csiAddress, "--kube-api-qps=-1"]).rateLimit == nil)
    }

    // MARK: The endpoint

    @Test func theDeprecatedNameOfTheEndpointStillWorks() throws {
        let options = try options([csiAddress, "--metrics-address=:8080"])
        #expect(options.endpoint?.address == ListenAddress(host: "", port: 8080))
        #expect(options.endpoint?.metricsPath == "/metrics")
    }

    @Test(arguments: [
        (
            ["--http-endpoint=:1", "--metrics-address=:2"],
            "only one of --metrics-address and --http-endpoint may be given"
        ),
        (["--http-endpoint=:1", "--metrics-path=m"], "--metrics-path must begin with a slash, as in /metrics"),
        (
            ["--http-endpoint=8080"],
            "--http-endpoint: \"8080\" is not an address to listen on: it has no port; "
                + "write :8080, 127.0.0.1:8080 or [::1]:8080"
        ),
        (
            ["--metrics-address=:x"],
            "--metrics-address: \":x\" is not an address to listen on: the port is not a number from 0 to 65535; "
                + "write :8080, 127.0.0.1:8080 or [::1]:8080"
        ),
    ])
    func anEndpointThatCannotBeIsRefused(arguments: [String], message: String) {
        #expect(failure(of: [csiAddress] + arguments) == message)
    }

    // MARK: Leader election

    @Test(arguments: [
        (
            ["--leader-election-lease-duration=10s"],
            "--leader-election-lease-duration (10s) must be greater than --leader-election-renew-deadline (10s)"
        ),
        (
            ["--leader-election-renew-deadline=6s"],
            "--leader-election-renew-deadline (6s) must be greater than 1.2 x --leader-election-retry-period (5s), "
                + "and that greater than zero"
        ),
        (
            ["--leader-election-retry-period=0"],
            "--leader-election-renew-deadline (10s) must be greater than 1.2 x --leader-election-retry-period (0s), "
                + "and that greater than zero"
        ),
        (
            ["--leader-election-lease-duration=900ms", "--leader-election-renew-deadline=1ms"],
            "--leader-election-lease-duration (900ms) must be at least 1s"
        ),
    ])
    func periodsThatCannotKeepLeadersApartAreRefused(arguments: [String], message: String) throws {
        #expect(failure(of: [csiAddress, "--leader-election"] + arguments) == message)
        // Without leader election they mean nothing.
        #expect(try options([csiAddress] + arguments).leaderElection == nil)
    }
}
