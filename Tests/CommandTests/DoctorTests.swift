// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import Foundation
import GRPCTransport
import HealthMonitorTestKit
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Testing

@testable import Flags
@testable import csi_health_monitor

@Suite(.timeLimit(.minutes(50))) struct DoctorTests {
    // MARK: Rows

    @Test func `the table has a line for each check and for each hint`() {
        let report = DoctorReport(rows: [.ok("socket", "/csi.sock"), .failed("driver", "a\nb\u{1B}c", hint: "do this")])
        #expect(
            report.text == """
                STATUS   CHECK         DETAIL
                ok       socket        /csi.sock
                failed   driver        a b c
                                       hint: do this

                """
        )
        #expect(report.exitCode == 1)
        let warnings = DoctorReport(rows: [.warning("a", "b", hint: "c"), .skipped("d", "e"), .ok("f", "g")])
        #expect(warnings.exitCode == 0)
    }

    @Test(arguments: [
        (0.0, DoctorRow.Status.ok), (5.9, .ok), (-5.9, .ok), (6.0, .warning), (-3600, .warning),
    ])
    func `a clock that differs by more than five seconds is a warning`(ahead: Double, status: DoctorRow.Status) {
        #expect(DoctorRow.clock(ahead: .seconds(ahead)).status == status)
        #expect(DoctorRow.clock(ahead: nil).status == .skipped)
    }

    @Test func `a Lease that is not renewed is a warning`() {
        var spec = LeaseSpec()
        spec.holderIdentity = "pod-0"
        spec.leaseDurationSeconds = 15
        spec.renewTime.seconds = 1000
        let fresh = DoctorRow.lease("ns/l", spec, now: 1015)
        #expect(fresh == .ok("lease", "ns/l is held by pod-0, renewed 15s ago"))
        #expect(DoctorRow.lease("ns/l", spec, now: 1100).status == .warning)
        #expect(DoctorRow.lease("ns/l", nil, now: 1100).status == .ok)
        spec.holderIdentity = ""
        #expect(DoctorRow.lease("ns/l", spec, now: 1100).detail == "ns/l has no holder")
    }

    @Test(
        arguments: [
            (.min, "876000h"), (-62_135_596_800, "876000h"), (253_402_300_800, "0s"), (.max, "0s"),
        ] as [(Int64, String)]
    )
    func `a Lease may have any time`(time: Int64, age: String) {
        var spec = LeaseSpec()
        spec.holderIdentity = "pod-0"
        spec.leaseDurationSeconds = 15
        spec.renewTime.seconds = time
        let detail = DoctorRow.lease("ns/l", spec, now: 1_800_000_000).detail
        #expect(detail.hasPrefix("ns/l is held by pod-0, renewed \(age) ago"))
    }

    @Test func `the capabilities determine the method and the interval`() throws {
        let options = try options(["--csi-address=/tmp/csi.sock"])
        func row(_ capabilities: Set<ControllerCapability>) -> DoctorRow {
            .capabilities(DriverSupport(capabilities), options)
        }
        #expect(row([.listVolumes, .volumeCondition]) == .ok("capabilities", "ListVolumes every 5m"))
        #expect(
            row([.getVolumeHealth]) == .ok("capabilities", "ControllerGetVolumeHealth of each volume every 1m")
        )
        #expect(row([.listVolumeHealth]).status == .warning)
        #expect(row([.listVolumes]).status == .failed)
    }

    @Test(arguments: [
        ("base/rbac/cluster-role.yaml base/rbac/lease-role.yaml", ["--leader-election"]),
        ("base/rbac/cluster-role.yaml components/node-watcher/cluster-role.yaml", ["--enable-node-watcher"]),
        ("base/rbac/cluster-role.yaml components/volume-secrets/role.yaml", ["--volume-secrets=node-stage"]),
        ("base/rbac/cluster-role.yaml components/node-deployment/cluster-role.yaml", ["--node-deployment"]),
    ])
    func `the checked permissions are exactly the rules of the manifests`(files: String, flags: [String]) throws {
        let manifests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("manifests")
        var granted: Set<String> = []
        for file in files.split(separator: " ") {
            let text = try String(contentsOf: manifests.appendingPathComponent(String(file)), encoding: .utf8)
            let rule = /apiGroups: \[(.*)\]\n *resources: \[(.*)\]\n *verbs: \[(.*)\]/
            for match in text.matches(of: rule) {
                let group = match.1.filter { $0 != "\"" }
                for resource in match.2.split(separator: ", ") {
                    for verb in match.3.split(separator: ", ") { granted.insert("\(group) \(resource) \(verb)") }
                }
            }
        }
        let options = try options(["--csi-address=/tmp/csi.sock"] + flags)
        let checked = DoctorPermission.all(options, leaseNamespace: "ns").map(\.request).map { request in
            let resource = request.resource.plural + (request.subresource.map { "/\($0)" } ?? "")
            return "\(request.resource.group) \(resource) \(request.verb.rawValue)"
        }
        #expect(Set(checked) == granted)
        #expect(Set(checked).count == checked.count)
    }

    @Test func `a missing permission is a failure if it is required, and has its namespace`() throws {
        let options = try options(["--csi-address=/tmp/csi.sock", "--leader-election", "--volume-secrets=node-stage"])
        let all = DoctorPermission.all(options, leaseNamespace: "kube-system")
        let secrets = all.filter { $0.request.resource.plural == "secrets" }
        let row = DoctorRow.permissions(all, missing: secrets)
        #expect(row.status == .warning)
        #expect(row.detail == "14 of 15 allowed, missing: get secrets in kube-system")
        #expect(row.hint == #"add to the role: {apiGroups: [""], resources: ["secrets"], verbs: ["get"]}"#)
        #expect(DoctorRow.permissions(all, missing: all).status == .failed)
        #expect(DoctorRow.permissions(all, missing: []) == .ok("permissions", "15 of 15 allowed"))
    }

    // MARK: Over sockets

    @Test func `all checks are ok, and nothing is written`() async throws {
        try await withScene { server, _, arguments in
            try VolumeFixture(number: 0).create(in: server)
            let report = await doctor(try options(arguments + ["--leader-election"]))
            #expect(report.rows.map(\.status) == Array(repeating: .ok, count: 8), "\(report.text)")
            #expect(report.exitCode == 0)
            let writes = server.journal.records.filter { ![.get, .list, nil].contains($0.request.verb) }
            #expect(
                writes.allSatisfy {
                    $0.request.query["dryRun"] == "All" || $0.request.resource == "selfsubjectaccessreviews"
                }
            )
        }
    }

    @Test func `a missing rule, a wrong clock and a server without the status field are found`() async throws {
        try await withScene { server, _, arguments in
            try VolumeFixture(number: 0).create(in: server)
            let rules = [
                PolicyRule(
                    verbs: ["list", "watch", "get", "patch", "create"],
                    apiGroups: [""],
                    resources: ["persistentvolumeclaims", "persistentvolumeclaims/status", "events"]
                ), PolicyRule(verbs: ["list"], apiGroups: [""], resources: ["persistentvolumes"]),
                PolicyRule(verbs: ["get"], apiGroups: ["storage.k8s.io"], resources: ["csidrivers"]),
            ]
            server.users = [SimulatedAPIServer.adminToken: APIUser(name: "monitor", rules: rules)]
            server.clockOffset = 60
            server.featureGates.remove(.csiVolumeHealth)
            let report = await doctor(try options(arguments))
            let statuses: [DoctorRow.Status] = [.ok, .ok, .ok, .ok, .warning, .failed, .warning, .skipped]
            #expect(report.rows.map(\.status) == statuses, "\(report.text)")
            #expect(report.exitCode == 1)
            let rule = #"{apiGroups: [""], resources: ["persistentvolumes"], verbs: ["watch"]}"#
            #expect(report.text.contains("10 of 11 allowed, missing: watch persistentvolumes\n"))
            #expect(report.text.contains("hint: add to the role: \(rule)\n"))
        }
    }

    @Test func `without a driver and an API server the table is printed too`() async throws {
        try await withScene(isDriverRunning: false) { server, driver, arguments in
            await server.stopListening()
            let outcome = try await Tool.run(programPath(), ["doctor"] + arguments)
            #expect(outcome.exitCode == 1)
            #expect(outcome.errors == "")
            #expect(outcome.output.contains("failed   socket        no socket at \(driver.socket) yet\n"))
            #expect(outcome.output.contains("skipped  capabilities  the driver is not ready\n"))
            #expect(outcome.output.contains("failed   API server    get version: "))
            #expect(outcome.output.contains("skipped  permissions   the API server check failed\n"))
        }
    }

    @Test func `a driver and an API server that never respond fail after the deadline`() async throws {
        try await withScene { server, driver, arguments in
            server.intercept { _ in .silence }
            driver.intercept { _ in .never }
            let options = try options(arguments)
            let report = await Doctor(options: options, environment: [:], deadline: .milliseconds(50)).run()
            let statuses: [DoctorRow.Status] = [
                .ok, .failed, .skipped, .failed, .skipped, .skipped, .skipped, .skipped,
            ]
            #expect(report.rows.map(\.status) == statuses, "\(report.text)")
        }
    }

    @Test func `an invalid flag is one line`() async throws {
        let outcome = try await Tool.run(programPath(), ["doctor", "--csi-address=/tmp"])
        #expect(outcome.exitCode == 1)
        #expect(outcome.errors.hasPrefix("csi-health-monitor: --csi-address: /tmp is a directory, not a socket"))
    }

    private func doctor(_ options: ControllerOptions) async -> DoctorReport {
        // Longer than the time limit of the tests, so that a busy machine does not fail a check.
        await Doctor(options: options, environment: [:], deadline: .seconds(3600)).run()
    }

    private func options(_ arguments: [String]) throws -> ControllerOptions {
        try ControllerOptions(try #require(try Program.parse(["doctor"] + arguments) as? DoctorCommand).flags)
    }

    private func withScene(
        isDriverRunning: Bool = true,
        _ body: (SimulatedAPIServer, SimulatedDriver, [String]) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "dr-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .health)
            if isDriverRunning { try driver.start() }
            try await body(
                server,
                driver,
                ["--timeout=1h", "--csi-address=\(directory)/csi.sock", "--kubeconfig=\(directory)/kubeconfig"]
            )
            await driver.stop()
        }
    }
}
