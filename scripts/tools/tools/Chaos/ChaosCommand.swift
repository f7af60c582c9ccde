// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import HealthMonitorTestKit

/// Rounds of random faults with three replicas; the promises are checked all the time.
struct ChaosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos",
        abstract: "Run three replicas, or an agent, with random faults and check the monitor's promises.",
        discussion: """
            Each round begins one or two faults, changes the health of volumes, ends the faults, and waits until \
            everything is reported. A broken promise ends the run and prints the history. The same seed makes the same \
            rounds.

            The faults: \(ChaosFault.all.map(\.name).joined(separator: ", ")).

            With --side=node: \(ChaosFault.allOnNode.map(\.name).joined(separator: ", ")).
            """
    )

    @OptionGroup var options: MonitorOptions

    @Option(help: "The side: controller (three replicas) or node (an agent).")
    var side = ClusterCommand.Side.controller

    @Option(help: "The seed of the rounds; by default a random one, which is printed.")
    var seed: UInt64 = .random(in: 1...999_999)

    @Option(help: "The duration of the run.")
    var minutes = 2.0

    @Option(help: "The only fault in every round.")
    var fault: String?

    @Option(help: "The path of libfaketime; without it, clocks are not skewed.")
    var fakeTimeLibrary: String?

    private static let volumes = 12

    private var faults: [ChaosFault] {
        switch side {
        case .controller: ChaosFault.all
        case .node: ChaosFault.allOnNode
        }
    }

    private var onlyFault: ChaosFault? { faults.first { $0.name == fault } }

    func validate() throws {
        if let fault, !faults.contains(where: { $0.name == fault }) {
            throw ValidationError("unknown fault \"\(fault)\", see --help")
        }
        guard minutes > 0 else { throw ValidationError("--minutes must be more than 0") }
    }

    func run() async throws {
        printLine("seed \(seed)")
        var failure: String?
        try await withDirectory(options.directory) { directory in
            if side == .node {
                let chaos = NodeChaos(
                    seed: seed,
                    duration: duration,
                    volumes: Self.volumes,
                    onlyFault: onlyFault,
                    monitor: options.monitor,
                    directory: directory
                )
                failure = try await chaos.run()
            } else {
                failure = try await runReplicas(directory)
            }
            if let failure {
                printLine(failure)
                // The directory with the logs stays.
                throw ExitCode.failure
            }
        }
    }

    private var duration: Duration { .milliseconds(Int(minutes * 60_000)) }

    /// Returns the failure; nil when there was none.
    private func runReplicas(_ directory: String) async throws -> String? {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users.merge(Replicas.users(3)) { $1 }
        return try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let generation: SimulatedDriver.Configuration = seed.isMultiple(of: 2) ? .legacy : .health
            let replicas = try Replicas(
                count: 3,
                binary: options.monitor,
                directory: directory,
                server: server,
                driver: generation
            )
            let failure = try await withThrowingTaskGroup(of: Void.self) { group in
                for process in replicas.processes { group.addTask { try await process.run() } }
                defer { group.cancelAll() }
                return try await rounds(server, replicas)
            }
            await replicas.stopDrivers()
            return failure
        }
    }

    /// Returns the failure; nil when there was none.
    private func rounds(_ server: SimulatedAPIServer, _ replicas: Replicas) async throws -> String? {
        let world = try SimulatedWorld(
            server: server,
            replicas: replicas.worldReplicas,
            volumes: (0..<Self.volumes).map { VolumeFixture(number: $0) },
            tokenFiles: replicas.tokenFiles,
            leaseDuration: Replicas.Timing.leaseDuration
        )
        var scene = ChaosScene(world: world, replicas: replicas, fakeTimeLibrary: fakeTimeLibrary)
        var plan = ChaosPlan(seed: seed, volumes: Self.volumes)
        var report = ChaosReport()
        let clock = ContinuousClock()
        let end = clock.now + duration
        for process in replicas.processes { process.start() }
        var failure = try await scene.settle()
        while failure == nil, clock.now < end {
            var round = plan.next()
            if let onlyFault { round.faults = [onlyFault] }
            failure = try await scene.play(round, into: &report)
        }
        printLine(report.table)
        printLine(report.failovers)
        return failure.map { failure in
            """
            FAILED: \(failure)
            seed \(seed): repeat with --seed \(seed); the history, the latest last:
            \(scene.world.history.suffix(120).joined(separator: "\n"))
            \(replicas.logs(lines: 30))
            """
        }
    }
}
