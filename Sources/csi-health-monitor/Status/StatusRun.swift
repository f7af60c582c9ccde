// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Flags
import HealthCore
import KubernetesAPI
import KubernetesClient
import LeaderElection
import Logging
import VolumeStatus

/// One run of the `status` command.
struct StatusRun: Sendable {
    private let flags: StatusFlags
    private let configuration: KubernetesConfiguration
    private let isColored: Bool
    private let logger = Logger(label: "status") { _ in SwiftLogNoOpLogHandler() }

    /// - Parameters:
    ///   - environment: the variables of `KubernetesConfiguration.userVariables`.
    /// - Throws: an error of the flags or the kubeconfig.
    init(_ flags: StatusFlags, environment: [String: String], isColored: Bool) throws {
        self.flags = flags
        self.isColored = isColored
        configuration = try .user(kubeconfig: flags.kubeconfig, context: flags.context, environment: environment)
    }

    /// Lists claims, watches them, or explains one.
    ///
    /// - Returns: the exit code.
    /// - Throws: `KubernetesError` if the claims cannot be listed; what ``StatusSink/output`` throws.
    func run(explaining claim: String?, into sink: StatusSink) async throws -> Int32 {
        let client = try KubernetesClient(
            configuration: configuration,
            userAgent: "csi-health-monitor/\(Program.version) status",
            rateLimit: nil,
            // The default is client-go's.
            connectTimeout: flags.requestTimeout ?? .seconds(30),
            requestTimeout: flags.requestTimeout ?? .seconds(60),
            logger: logger
        )
        let result: Result<Int32, any Error>
        do {
            if let claim {
                result = .success(try await explain(claim, client, sink))
            } else {
                result = .success(try await list(client, sink))
            }
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        return try result.get()
    }

    private var namespace: String? {
        flags.allNamespaces ? nil : flags.namespace ?? configuration.defaultNamespace
    }

    private static func leaseName(_ driver: String) -> String {
        LeaseName.controller(driverName: driver, nodeName: nil)
    }

    private func report(_ snapshot: ClusterSnapshot) -> StatusReport {
        StatusReport(snapshot, driver: flags.driver, leaseName: Self.leaseName, now: Time.now().seconds)
    }

    // MARK: Claims

    private func list(_ client: KubernetesClient, _ sink: StatusSink) async throws -> Int32 {
        let reader = StatusReader(client: client, namespace: namespace, selector: flags.selector)
        let snapshot = try await reader.snapshot()
        let report = report(snapshot)
        if let driver = flags.driver, !report.mayExist(driver) {
            let found = report.foundDrivers.isEmpty ? "none" : report.foundDrivers.joined(separator: ", ")
            throw ValidationError(
                "--driver: no claim or PersistentVolume has the driver \"\(driver)\"; drivers found: \(found)"
            )
        }
        let summary = StatusSummary(report, snapshot, namespace: namespace, leaseName: Self.leaseName)
        var printer = StatusPrinter(flags: flags, hasNamespace: namespace == nil, isColored: isColored)
        let exitCode: Int32 = flags.exitCode && !report.notHealthy.isEmpty ? 1 : 0
        do {
            try sink.output(printer.list(report, summary, now: Time.now().seconds))
        } catch is StatusSink.Closed {
            // As in `status | head -1`: the reader has what it wants.
            return exitCode
        }
        sink.errors(printer.remarks(summary))
        guard flags.watch else { return exitCode }
        let watch = StatusWatch(client: client, reader: reader, snapshot: snapshot, logger: logger)
        var changes = RowChanges(report)
        try await watch.run { update in
            switch update {
            case .changed(let snapshot):
                let rows = changes.next(self.report(snapshot))
                if !rows.isEmpty { try sink.output(printer.changes(rows, now: Time.now().seconds)) }
            case .failed(let error): sink.errors("warning: \(printable(error.message)): retrying\n")
            }
        }
        return 0
    }

    // MARK: One claim

    private func explain(_ claim: String, _ client: KubernetesClient, _ sink: StatusSink) async throws -> Int32 {
        let name = ObjectName(namespace ?? configuration.defaultNamespace, claim)
        let reader = StatusReader(client: client, namespace: name.namespace, selector: nil)
        let now = Time.now().seconds
        guard let (snapshot, nodes) = try await reader.snapshot(of: name),
            let story = ClaimStory(of: name, snapshot, nodes: nodes, leaseName: Self.leaseName, now: now)
        else {
            throw ValidationError("persistentvolumeclaims \"\(claim)\" not found in namespace \(name.namespace)")
        }
        try sink.output(story.text(now: now))
        return 0
    }
}
