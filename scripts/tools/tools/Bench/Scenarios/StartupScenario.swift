// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation

/// The time from the start of the process to the end of the first sweep, against the time of what it cannot avoid: to
/// download the lists of volumes and claims, measured with curl, and to list the driver's volumes, measured with
/// ``BareSweep``.
struct StartupScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "startup",
        abstract: "Measure the time from the start to the first complete sweep, against curl and one bare sweep."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes.")
    var volumes = 20_000

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        try await withCluster(.init(volumes: volumes)) { cluster in
            // The first download warms up the server.
            _ = try await cluster.downloadLists()
            let download = try await cluster.downloadLists()
            let bare = try await BareSweep.run(in: cluster) { process in
                try await cluster.costOfSweeps(of: process, seconds: 1).wallPerSweep
            }
            let method = cluster.configuration.generation.listMethod
            let before = try await cluster.callCount(method)
            let start = ClusterProcess.now
            let (calls, cost) = try await sidecar.run(in: cluster) { process in
                let total = before + cluster.callsPerSweep
                try await cluster.wait(for: method, count: total, by: process, within: .seconds(600))
                let cost = try ProcessTime(of: process).seconds
                return (try await cluster.calls(method)[before..<total].map(\.time), cost)
            }
            // The driver records when calls arrive; the sweep ends when the last page has been processed.
            let timePerPage = bare / Double(cluster.callsPerSweep)
            let firstCall = calls[0] - start
            let sweepEnd = calls[calls.count - 1] + timePerPage - start
            return [
                Figure("start to first complete sweep", sweepEnd, .seconds),
                Figure("start to the first call for volumes", firstCall, .seconds),
                Figure("CPU until then, and of the sweep", cost, .seconds),
                Figure("curl, both lists", download, .seconds),
                Figure("one bare sweep", bare, .seconds),
                Figure(
                    "start, times curl and a bare sweep",
                    sweepEnd / (download + bare),
                    .ratio,
                    target: volumes == 20_000 ? 2 : nil
                ),
            ]
        }
    }
}

extension ClusterProcess {
    /// The time, in seconds, that curl takes to download the lists of volumes and claims in protobuf over one
    /// connection.
    ///
    /// - Throws: if curl is not installed or fails.
    fileprivate func downloadLists() async throws -> Double {
        let kubeconfig = try String(contentsOfFile: kubeconfig, encoding: .utf8)
        let certificates = "\(directory)/ca.pem"
        let authority = Machine.field("certificate-authority-data", of: kubeconfig, separator: ":") ?? ""
        try Data(base64Encoded: authority)?.write(to: URL(fileURLWithPath: certificates))
        var arguments = ["--silent", "--show-error", "--fail", "--cacert", certificates]
        arguments += [
            "--header", "Authorization: Bearer \(try String(contentsOfFile: "\(directory)/token", encoding: .utf8))",
        ]
        arguments += ["--header", "Accept: application/vnd.kubernetes.protobuf"]
        for resource in ["persistentvolumes", "persistentvolumeclaims"] {
            arguments += ["--output", "/dev/null", "\(url)/api/v1/\(resource)"]
        }
        let start = Self.now
        _ = try await output(of: "curl", arguments)
        return Self.now - start
    }
}
