// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit

/// The replicas of a monitor on one simulated API server, each with its own driver, token and process.
struct Replicas {
    /// Short intervals, so that a run has many of them.
    enum Timing {
        static let listInterval = Duration.seconds(1)
        static let leaseDuration = Duration.seconds(3)
        static let renewDeadline = Duration.seconds(2)
        static let retryPeriod = Duration.milliseconds(500)
    }

    let processes: [ReplicaProcess]
    let drivers: [SimulatedDriver]
    let tokenFiles: [String]

    static func names(_ count: Int) -> [String] { (0..<count).map { "monitor-\($0)" } }

    static func token(_ identity: String) -> String { "token-of-\(identity)" }

    /// The users of the replicas, by token.
    static func users(_ count: Int) -> [String: APIUser] {
        Dictionary(uniqueKeysWithValues: names(count).map { (token($0), APIUser(name: $0)) })
    }

    /// Starts the drivers and prepares the processes.
    init(
        count: Int,
        binary: String,
        directory: String,
        server: SimulatedAPIServer,
        driver configuration: SimulatedDriver.Configuration,
        listInterval: Duration = Timing.listInterval
    ) throws {
        var processes: [ReplicaProcess] = []
        var drivers: [SimulatedDriver] = []
        var tokenFiles: [String] = []
        for (number, identity) in Self.names(count).enumerated() {
            let path = "\(directory)/\(identity)"
            let driver = SimulatedDriver(socket: "\(path).sock", configuration: configuration)
            try driver.start()
            drivers.append(driver)
            try Data(Self.token(identity).utf8).write(to: URL(fileURLWithPath: "\(path).token"))
            tokenFiles.append("\(path).token")
            try server.writeKubeconfig(to: "\(path).kubeconfig", .tokenFile("\(path).token"))
            processes.append(
                ReplicaProcess(
                    identity: identity,
                    path: binary,
                    // Every second replica has warm caches on standby.
                    arguments: Self.arguments(path: path, listInterval: listInterval)
                        + (number % 2 == 1 ? ["--warm-standby"] : []),
                    log: "\(path).log"
                )
            )
        }
        (self.processes, self.drivers, self.tokenFiles) = (processes, drivers, tokenFiles)
    }

    private static func arguments(path: String, listInterval: Duration) -> [String] {
        func milliseconds(_ duration: Duration) -> String { "\(duration / .milliseconds(1))ms" }
        return [
            "--csi-address=\(path).sock",
            "--kubeconfig=\(path).kubeconfig",
            "--timeout=1s",
            "--list-volumes-interval=\(milliseconds(listInterval))",
            "--monitor-interval=\(milliseconds(listInterval))",
            // Volumes change every few seconds, and each change that lasts must be reported; an event on the driver would
            // be a write that the ledger does not expect.
            "--flapping-threshold=0",
            "--outage-threshold-percent=100",
            "--leader-election",
            "--leader-election-namespace=default",
            "--leader-election-lease-duration=\(milliseconds(Timing.leaseDuration))",
            "--leader-election-renew-deadline=\(milliseconds(Timing.renewDeadline))",
            "--leader-election-retry-period=\(milliseconds(Timing.retryPeriod))",
            "--v=4",
        ]
    }

    /// The replicas for ``SimulatedWorld``.
    var worldReplicas: [SimulatedWorld.Replica] {
        zip(processes, drivers).map { .init(identity: $0.identity, driver: $1) }
    }

    func process(_ identity: String) -> ReplicaProcess? {
        processes.first { $0.identity == identity }
    }

    func driver(ofReplica identity: String) -> SimulatedDriver? {
        zip(processes, drivers).first { $0.0.identity == identity }?.1
    }

    /// The last lines of all logs.
    func logs(lines: Int) -> String {
        tokenFiles.map { $0.replacing(".token", with: ".log") }.map { path in
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return "\(path):\n" + text.split(separator: "\n").suffix(lines).joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    func stopDrivers() async {
        for driver in drivers { await driver.stop() }
    }
}

/// Prints a line unbuffered, also when standard output is a file.
func printLine(_ text: String) {
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
}

/// Runs `body` with a directory. A temporary one, without a `name`, is removed unless `body` throws.
func withDirectory<Result>(_ name: String?, _ body: (String) async throws -> Result) async throws -> Result {
    // A Unix socket's path has at most 107 bytes.
    let path = name ?? "/tmp/chaos-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let result = try await body(path)
    if name == nil { try? FileManager.default.removeItem(atPath: path) }
    return result
}
