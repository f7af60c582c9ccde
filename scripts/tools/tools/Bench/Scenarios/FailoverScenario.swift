// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import Glibc

/// The time of a failover with a cold and with a warm standby, and the memory of each.
struct FailoverScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "failover",
        abstract: "Measure the time from SIGKILL of the leader to the next leader's first list, with a lease of 3 s."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes.")
    var volumes = 20_000

    @Option(help: "The seconds from the start of the standby to the measurement.")
    var settling = 5.0

    @Flag(inversion: .prefixedNo, help: "Whether to measure a standby with --warm-standby too.")
    var warm = true

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var figures: [Figure] = []
        for flags in warm ? [[], ["--warm-standby"]] : [[]] {
            let name = flags.isEmpty ? "cold" : "warm"
            let result = try await withCluster(.init(volumes: volumes)) { cluster in
                try await sidecar.failover(in: cluster, flags, settling: settling)
            }
            figures += [
                Figure("\(name): SIGKILL of the leader to the next ListVolumes", result.sinceKill, .seconds),
                Figure("\(name): lease taken to the next ListVolumes", result.sinceLease, .seconds),
                Figure("\(name): resident, standby", result.resident, .bytes),
            ]
        }
        return figures
    }
}

private struct Failover {
    /// Seconds until the first list.
    var sinceKill: Double
    var sinceLease: Double
    /// The standby's bytes before the failover.
    var resident: Double
}

extension Sidecar {
    /// Kills a leader and measures the standby.
    fileprivate func failover(
        in cluster: ClusterProcess,
        _ flags: [String],
        settling: Double
    ) async throws -> Failover {
        let method = cluster.configuration.generation.listMethod
        let flags =
            flags + [
                "--leader-election-lease-duration=3s", "--leader-election-renew-deadline=2s",
                "--leader-election-retry-period=1s", "--logging-format=json",
            ]
        return try await run(in: cluster, flags, named: "leader") { leader in
            try await cluster.wait(for: method, count: cluster.callsPerSweep, by: leader)
            let log = cluster.directory + "/standby.log"
            return try await run(in: cluster, flags, named: "standby", log: log) { standby in
                try await ContinuousClock().sleep(for: .seconds(settling))
                let resident = try ProcessMemory(of: standby).resident
                let before = try await cluster.callCount(method)
                let killed = ClusterProcess.now
                guard kill(leader, SIGKILL) == 0 else { throw ToolError(message: "the leader has ended") }
                try await cluster.wait(for: method, count: before + 1, by: standby)
                let listed = try await cluster.calls(method)[before].time
                // The log has the time of the wall clock.
                let sinceEpoch = Date().timeIntervalSince1970 - ClusterProcess.now
                let taken = try timeOfLeading(inLog: log) - sinceEpoch
                return Failover(sinceKill: listed - killed, sinceLease: listed - taken, resident: resident)
            }
        }
    }

    /// The time in a log at which the replica became leader, in seconds since 1970.
    private func timeOfLeading(inLog path: String) throws -> Double {
        struct Line: Decodable {
            /// Milliseconds since 1970.
            let ts: Double
            let msg: String
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        let line = lines.lazy.compactMap { try? JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
            .first { $0.msg == "Became leader" }
        guard let line else { throw ToolError(message: "no other replica took over") }
        return line.ts / 1000
    }
}
