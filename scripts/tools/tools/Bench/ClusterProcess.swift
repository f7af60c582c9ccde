// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Subprocess
import SystemPackage

/// A simulated cluster in its own process. For use by one task.
final class ClusterProcess {
    struct Configuration {
        var volumes: Int
        var generation = Generation.legacy
        /// For the driver's lists.
        var pageSize = 1000
        /// Whether the driver can list volumes; otherwise it must be called for each.
        var hasLists = true
    }

    /// The generations of CSI's health RPCs.
    enum Generation: String, CaseIterable {
        case legacy
        case health

        /// The RPC that lists volumes with their health.
        var listMethod: String { self == .legacy ? "ListVolumes" : "ControllerListVolumeHealth" }
        /// The RPC for one volume's health.
        var getMethod: String { self == .legacy ? "ControllerGetVolume" : "ControllerGetVolumeHealth" }
    }

    let configuration: Configuration
    let processID: Int32
    /// The directory of its files; it is removed at the end.
    let directory: String
    /// `https://127.0.0.1:PORT`
    let url: String
    private let commands: StandardInputWriter
    private var results: SubprocessOutputSequence.StringSequence<UTF8>.AsyncIterator

    var socket: String { directory + "/csi.sock" }
    var kubeconfig: String { directory + "/kubeconfig" }
    /// The file for the sidecar's standard error.
    var log: String { directory + "/log" }

    private init(
        _ configuration: Configuration,
        processID: Int32,
        directory: String,
        commands: StandardInputWriter,
        results: SubprocessOutputSequence
    ) async throws {
        self.configuration = configuration
        self.processID = processID
        self.directory = directory
        self.commands = commands
        self.results = results.strings(bufferingPolicy: .unbounded).makeAsyncIterator()
        struct Ready: Decodable {
            let url: String
        }
        url = try Self.decode(Ready.self, from: try await self.results.next())?.url ?? ""
    }

    /// Runs a cluster for as long as `body` runs. When `body` throws, the error has the end of the log.
    static func with<Result: Sendable>(
        _ configuration: Configuration,
        _ body: (ClusterProcess) async throws -> Result
    ) async throws -> Result {
        // A short path, because a socket's path has at most 107 bytes.
        let directory = "/tmp/bench-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var arguments = ["cluster", "--control", "--directory", directory, "--no-backing-directories"]
        arguments += ["--volumes", "\(configuration.volumes)", "--page-size", "\(configuration.pageSize)"]
        arguments += ["--driver-generation", configuration.generation.rawValue]
        if !configuration.hasLists { arguments.append("--no-lists") }
        let outcome = try await Subprocess.run(
            .path(FilePath(try pathOfThisProgram())),
            arguments: Arguments(arguments),
            input: .inputWriter,
            output: .sequence,
            error: .currentStandardError
        ) { execution in
            let result: Swift.Result<Result, any Error>
            do {
                let cluster = try await ClusterProcess(
                    configuration,
                    processID: execution.processIdentifier.value,
                    directory: directory,
                    commands: execution.standardInputWriter,
                    results: execution.standardOutput
                )
                result = .success(try await body(cluster))
            } catch {
                result = .failure(ToolError(error, log: directory + "/log"))
            }
            // It ends with its standard input.
            try? await execution.standardInputWriter.finish()
            await execution.teardown(using: [.gracefulShutDown(allowedDurationToNextStep: .seconds(20))])
            return result
        }
        return try outcome.closureResult.get()
    }

    // MARK: Commands

    /// Makes the first `count` volumes abnormal at once.
    ///
    /// - Parameter ownMessages: whether each message names its volume; otherwise all are equal.
    func makeAbnormal(_ count: Int, ownMessages: Bool) async throws {
        try await command("\(ownMessages ? "abnormal-each" : "abnormal") \(count)")
    }

    /// Makes the first `count` volumes healthy at once.
    func makeHealthy(_ count: Int) async throws { try await command("healthy \(count)") }

    /// Sets the latency of the driver's calls.
    func setLatency(milliseconds: Int) async throws { try await command("latency \(milliseconds)") }

    /// Limits the driver's storage to `servers` calls at a time. The seed determines their service times.
    func setArray(servers: Int, milliseconds: Int, jitterPercent: Int, seed: Int) async throws {
        try await command("array \(servers) \(milliseconds) \(jitterPercent) \(seed)")
    }

    /// The load of the driver's storage, measured by the driver.
    struct Load: Decodable {
        let seconds: Double
        let calls: Int
        /// In seconds; nil without calls.
        let median: Double?
        let p99: Double?
        /// The greatest number of calls that waited at the same time.
        let deepestQueue: Int

        var callsPerSecond: Double { Double(calls) / seconds }
    }

    /// The load in the following seconds.
    func load(seconds: Double) async throws -> Load {
        _ = try await command("load", returning: Load.self)
        try await ContinuousClock().sleep(for: .seconds(seconds))
        return try await command("load", returning: Load.self)
    }

    /// The number of calls of a method so far.
    func callCount(_ method: String) async throws -> Int {
        try await command("calls", returning: [String: Int].self)[method] ?? 0
    }

    /// The calls of a method so far, with their times on the clock of ``now``.
    func calls(_ method: String) async throws -> [(volume: String, time: Double)] {
        struct Calls: Decodable {
            let received: [Double]
            let volumes: [String]
        }
        let calls = try await command("calls \(method)", returning: Calls.self)
        return Array(zip(calls.volumes, calls.received))
    }

    /// The numbers of requests to the API server, by verb, resource and status: `create events 201`.
    func requests() async throws -> [String: Int] {
        try await command("requests", returning: [String: Int].self)
    }

    struct Events: Decodable {
        let events: Int
        /// The objects that have one.
        let objects: Int
        /// The objects that have more than one.
        let repeated: Int
    }

    /// The numbers of events with a reason.
    func events(_ reason: String) async throws -> Events {
        try await command("events \(reason)", returning: Events.self)
    }

    private struct Nothing: Decodable {}

    private struct Failure: Decodable {
        let error: String
    }

    private func command(_ line: String) async throws {
        _ = try await command(line, returning: Nothing.self)
    }

    private func command<Result: Decodable>(_ line: String, returning: Result.Type) async throws -> Result {
        _ = try await commands.write(line + "\n")
        let text = try await results.next()
        if let failure = try? Self.decode(Failure.self, from: text) { throw ToolError(message: failure.error) }
        guard let result = try Self.decode(Result.self, from: text) else {
            throw ToolError(message: "the simulated cluster has ended")
        }
        return result
    }

    private static func decode<Result: Decodable>(_ type: Result.Type, from line: String?) throws -> Result? {
        try line.map { try JSONDecoder().decode(type, from: Data($0.utf8)) }
    }

    // MARK: Waiting

    /// Seconds since the machine's start, as in the cluster's results.
    static var now: Double { ContinuousClock().systemEpoch.duration(to: .now) / .seconds(1) }

    /// Returns when the driver has had `count` calls of a method.
    func wait(for method: String, count: Int, by process: Int32, within limit: Duration = .seconds(120)) async throws {
        try await poll(for: "\(count) calls of \(method)", by: process, within: limit) {
            try await self.callCount(method) >= count
        }
    }
}
