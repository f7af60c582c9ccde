// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import HealthMonitorTestKit

/// Runs one replica for a long time while volumes come, go, break and recover: memory and file descriptors must stay
/// flat.
struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Run one replica for a long time and check that memory and file descriptors stay flat."
    )

    @OptionGroup var options: MonitorOptions

    @Option(help: "The duration of the run.")
    var hours = 1.0

    @Option(help: "The number of volumes.")
    var volumes = 100

    @Option(help: "The seed of the changes.")
    var seed: UInt64 = 1

    /// The interval between lists.
    private static let interval = Duration.milliseconds(50)
    /// Five minutes in a real cluster. A list must end within it.
    private static let compactionInterval = Duration.seconds(10)
    /// Growth beyond this is a leak.
    private static let allowedBytesPerSweep = 100.0

    func run() async throws {
        try await withDirectory(options.directory) { directory in
            var configuration = SimulatedAPIServer.Configuration()
            configuration.users.merge(Replicas.users(1)) { $1 }
            try await SimulatedAPIServer.withServer(configuration: configuration) { server in
                let replicas = try Replicas(
                    count: 1,
                    binary: options.monitor,
                    directory: directory,
                    server: server,
                    driver: .legacy,
                    listInterval: Self.interval
                )
                let samples = try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await replicas.processes[0].run() }
                    defer { group.cancelAll() }
                    return try await churn(server, replicas)
                }
                await replicas.stopDrivers()
                try check(samples)
            }
        }
    }

    /// The resources of a process at a moment.
    private struct Sample {
        /// The lists so far.
        var sweeps: Double
        var residentBytes: Double
        var fileDescriptors: Double
    }

    private func churn(_ server: SimulatedAPIServer, _ replicas: Replicas) async throws -> [Sample] {
        var world = try SimulatedWorld(
            server: server,
            replicas: replicas.worldReplicas,
            volumes: (0..<volumes).map { VolumeFixture(number: $0) },
            tokenFiles: replicas.tokenFiles,
            leaseDuration: Replicas.Timing.leaseDuration
        )
        replicas.processes[0].start()
        var random = SeededGenerator(seed: seed)
        var samples: [Sample] = []
        var sweeps = 0
        let clock = ContinuousClock()
        let began = clock.now
        let end = began + .milliseconds(Int(hours * 3_600_000))
        var next = began + sampleInterval
        var nextCompaction = began + Self.compactionInterval
        while clock.now < end {
            let index = Int.random(in: 0..<volumes, using: &random)
            let isHealthy = world.health(ofVolume: index) == .healthy
            world.set(isHealthy ? .unhealthy("volume \(index) is broken") : .healthy, ofVolume: index)
            if Int.random(in: 0..<10, using: &random) == 0 {
                try await world.begin(.cluster(.claimRecreated))
                try await world.end(.cluster(.claimRecreated))
            }
            try await clock.sleep(for: .milliseconds(100))
            world.observe()
            sweeps += world.takeProbes().count
            if let failure = replicas.processes[0].failures.first { throw SoakError(description: failure) }
            if let violation = world.ledger.violations.first {
                throw SoakError(description: "\(violation.promise): \(violation)")
            }
            if clock.now >= nextCompaction {
                server.compact()
                nextCompaction += Self.compactionInterval
            }
            if clock.now >= next, let sample = sample(replicas.processes[0], sweeps) {
                samples.append(sample)
                next += sampleInterval
                printLine(
                    "\(sweeps) lists, \(world.ledger.reports) reported: \(Int(sample.residentBytes / 1024)) KiB resident, "
                        + "\(Int(sample.fileDescriptors)) file descriptors"
                )
            }
        }
        return samples
    }

    private var sampleInterval: Duration { .milliseconds(max(Int(hours * 3_600_000) / 60, 1000)) }

    private func sample(_ process: ReplicaProcess, _ sweeps: Int) -> Sample? {
        guard let id = process.processID, let memory = try? ProcessMemory(of: id),
            let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/fd").count
        else { return nil }
        return Sample(
            sweeps: Double(sweeps),
            residentBytes: memory.resident,
            fileDescriptors: Double(descriptors)
        )
    }

    /// Fails unless the second half of the run, when caches are full, is flat.
    private func check(_ samples: [Sample]) throws {
        let later = samples.suffix((samples.count + 1) / 2)
        guard later.count >= 3 else { throw SoakError(description: "too short: \(samples.count) samples") }
        let memory = slope(later.map { ($0.sweeps, $0.residentBytes) })
        let descriptors = slope(later.map { ($0.sweeps, $0.fileDescriptors) })
        printLine(
            "slope over the second half, for each list: \(memory.rounded()) bytes, \(descriptors) file descriptors"
        )
        guard memory <= Self.allowedBytesPerSweep, abs(descriptors) <= 0.001 else {
            throw SoakError(description: "memory or file descriptors grow")
        }
    }

    /// The median of the slopes between any two points (Theil-Sen), which a single step, as by a new connection or
    /// thread, does not change.
    private func slope(_ points: [(x: Double, y: Double)]) -> Double {
        let slopes = points.indices.flatMap { first in
            points[(first + 1)...].filter { $0.x > points[first].x }.map { second in
                (second.y - points[first].y) / (second.x - points[first].x)
            }
        }.sorted()
        return slopes.isEmpty ? 0 : slopes[slopes.count / 2]
    }
}

/// A run failed.
private struct SoakError: Error, CustomStringConvertible {
    var description: String
}
