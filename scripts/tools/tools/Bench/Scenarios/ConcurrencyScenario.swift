// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CSISpec
import GRPCTransport
import SwiftProtobuf

/// Whether the concurrency of calls for single volumes adapts to the driver's storage: a short queue, and nearly the
/// throughput of the best fixed concurrency.
struct ConcurrencyScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "concurrency",
        abstract: "Measure latency and throughput with a driver whose storage has a queue, against fixed concurrencies."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(parsing: .upToNextOption, help: "The numbers of calls that the storage serves at a time.")
    var servers = [1, 4, 16]

    @Option(help: "The storage's service time for a call, in milliseconds.")
    var service = 20

    @Option(help: "The greatest deviation of the service time, in percent.")
    var jitter = 10

    @Option(help: "The seed of the service times.")
    var seed = 1

    @Option(help: "--worker-threads, and the highest fixed concurrency.")
    var workerThreads = 32

    @Option(help: "The duration of the measurement in seconds; a quarter of it for each fixed concurrency.")
    var seconds = 8.0

    @Option(help: "The seconds from the first call to the measurement.")
    var warmUp = 5.0

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var figures: [Figure] = []
        // More than the storage can serve in an interval, so that a volume is always due.
        let volumes = 2 * (servers.max() ?? 1) * 1000 / max(1, service)
        try await withCluster(.init(volumes: volumes, hasLists: false)) { cluster in
            for servers in servers {
                try await cluster.setArray(
                    servers: servers,
                    milliseconds: service,
                    jitterPercent: jitter,
                    seed: seed
                )
                let fixed = try await fixedLoads(in: cluster)
                let method = cluster.configuration.generation.getMethod
                let before = try await cluster.callCount(method)
                let flags = ["--monitor-interval=1s", "--worker-threads=\(workerThreads)"]
                let adaptive = try await sidecar.run(in: cluster, flags) { process in
                    try await cluster.wait(for: method, count: before + 1, by: process)
                    try await ContinuousClock().sleep(for: .seconds(warmUp))
                    return try await cluster.load(seconds: seconds)
                }
                figures += try self.figures(adaptive, fixed, servers: servers)
            }
        }
        return figures
    }

    private typealias FixedLoad = (callers: Int, load: ClusterProcess.Load)

    /// The loads under 1, 2, 4... callers, each of which makes one call after the other.
    private func fixedLoads(in cluster: ClusterProcess) async throws -> [FixedLoad] {
        var loads: [FixedLoad] = []
        var callers = 1
        while callers <= workerThreads {
            let load = try await withCallers(callers, socket: cluster.socket) {
                // Let the queue fill.
                try await ContinuousClock().sleep(for: .milliseconds(20 * service))
                return try await cluster.load(seconds: seconds / 4)
            }
            loads.append((callers, load))
            callers *= 2
        }
        return loads
    }

    private func withCallers<Result>(
        _ count: Int,
        socket: String,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let channel = try GRPCChannel(target: socket)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<count {
                group.addTask {
                    var request = CSIControllerGetVolumeRequest()
                    request.volumeID = "volume-\(caller)"
                    let bytes: [UInt8] = try request.serializedBytes()
                    while !Task.isCancelled {
                        _ = try? await channel.unary(
                            CSIMethodName.controllerGetVolume,
                            request: bytes,
                            timeout: .seconds(60)
                        )
                    }
                }
            }
            let result: Swift.Result<Result, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            group.cancelAll()
            try await group.waitForAll()
            await channel.shutdown()
            return try result.get()
        }
    }

    private func figures(
        _ adaptive: ClusterProcess.Load,
        _ fixed: [FixedLoad],
        servers: Int
    ) throws -> [Figure] {
        guard let unloaded = fixed.first?.load.median,
            let best = fixed.max(by: { $0.load.callsPerSecond < $1.load.callsPerSecond }),
            let median = adaptive.median, let p99 = adaptive.p99
        else { throw ToolError(message: "the driver's storage served no call") }
        let subject = "\(servers) at a time"
        // Shorter runs vary too much.
        let isTarget = seconds >= 8
        return [
            Figure(
                "median latency, times the unloaded one, \(subject)",
                median / unloaded,
                .ratio,
                target: isTarget ? 1.5 : nil
            ),
            Figure(
                "calls a second, share of the best fixed concurrency's, \(subject)",
                adaptive.callsPerSecond / best.load.callsPerSecond,
                .ratio,
                least: isTarget ? 0.9 : nil
            ),
            Figure("unloaded latency, \(subject)", unloaded, .seconds),
            Figure("median latency, \(subject)", median, .seconds),
            Figure("99th percentile, \(subject)", p99, .seconds),
            Figure("deepest queue, \(subject)", Double(adaptive.deepestQueue), .count),
            Figure("calls a second, \(subject)", adaptive.callsPerSecond, .perSecond),
            Figure("calls a second of the best fixed concurrency, \(subject)", best.load.callsPerSecond, .perSecond),
        ]
    }
}
