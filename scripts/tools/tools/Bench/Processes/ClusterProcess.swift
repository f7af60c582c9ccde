// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Subprocess
import SystemPackage

/// A simulated cluster in a process of its own. For one task to use.
final class ClusterProcess {
    /// What it is made of.
    struct Configuration {
        var volumes: Int
        var generation = Generation.legacy
        /// Of the driver's lists.
        var pageSize = 1000
        /// Whether the driver lists volumes; otherwise it is asked for each.
        var hasLists = true
    }

    /// How the driver reports health.
    enum Generation: String, CaseIterable {
        case legacy
        case health

        /// The call that lists what is not well.
        var listMethod: String { self == .legacy ? "ListVolumes" : "ControllerListVolumeHealth" }
        /// The call for one volume.
        var getMethod: String { self == .legacy ? "ControllerGetVolume" : "ControllerGetVolumeHealth" }
    }

    let configuration: Configuration
    let processID: Int32
    /// Where its files are; they go with it.
    let directory: String
    /// `https://127.0.0.1:PORT`
    let url: String
    private let commands: StandardInputWriter
    private var answers: SubprocessOutputSequence.StringSequence<UTF8>.AsyncIterator

    var socket: String { directory + "/csi.sock" }
    var kubeconfig: String { directory + "/kubeconfig" }
    /// For the standard error of whoever is measured.
    var log: String { directory + "/log" }

    private init(
        _ configuration: Configuration,
        processID: Int32,
        directory: String,
        commands: StandardInputWriter,
        answers: SubprocessOutputSequence
    ) async throws {
        self.configuration = configuration
        self.processID = processID
        self.directory = directory
        self.commands = commands
        self.answers = answers.strings(bufferingPolicy: .unbounded).makeAsyncIterator()
        struct Ready: Decodable {
            let url: String
        }
        url = try Self.decode(Ready.self, from: try await self.answers.next())?.url ?? ""
    }

    /// Runs a cluster for as long as `body` runs. When `body` throws, the error has the end of the log.
    static func with<Result: Sendable>(
        _ configuration: Configuration,
        _ body: (ClusterProcess) async throws -> Result
    ) async throws -> Result {
        // A short path: that of a socket has at most 107 bytes.
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
                    answers: execution.standardOutput
                )
                result = .success(try await body(cluster))
            } catch {
                let log = (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
                let end = log.split(separator: "\n").suffix(5).joined(separator: "\n")
                result = .failure(ToolError(message: "\(error)\n\(end)"))
            }
            // It ends with its standard input.
            try? await execution.standardInputWriter.finish()
            await execution.teardown(using: [.gracefulShutDown(allowedDurationToNextStep: .seconds(20))])
            return result
        }
        return try outcome.closureResult.get()
    }

    // MARK: Commands

    /// Makes so many volumes abnormal at once.
    ///
    /// - Parameter ownMessages: whether each message names its volume; otherwise all are the same.
    func makeAbnormal(_ count: Int, ownMessages: Bool) async throws {
        try await command("\(ownMessages ? "abnormal-each" : "abnormal") \(count)")
    }

    /// Makes so many volumes healthy at once.
    func makeHealthy(_ count: Int) async throws { try await command("healthy \(count)") }

    /// How long the driver takes for each call from now on.
    func setLatency(milliseconds: Int) async throws { try await command("latency \(milliseconds)") }

    /// From now on the driver's storage serves so many calls at a time, each for about the same time, as the seed decides.
    func setArray(servers: Int, milliseconds: Int, jitterPercent: Int, seed: Int) async throws {
        try await command("array \(servers) \(milliseconds) \(jitterPercent) \(seed)")
    }

    /// What the driver's storage served in some time, as the driver saw it.
    struct Load: Decodable {
        let seconds: Double
        let calls: Int
        /// In seconds; nil where there was no call.
        let median: Double?
        let p99: Double?
        /// The most calls that waited at a time.
        let deepestQueue: Int

        var callsPerSecond: Double { Double(calls) / seconds }
    }

    /// What the driver's storage serves from now on for so many seconds.
    func load(seconds: Double) async throws -> Load {
        _ = try await command("load", returning: Load.self)
        try await ContinuousClock().sleep(for: .seconds(seconds))
        return try await command("load", returning: Load.self)
    }

    /// How many calls of a method the driver had.
    func callCount(_ method: String) async throws -> Int {
        try await command("calls", returning: [String: Int].self)[method] ?? 0
    }

    /// When the driver was called, on the clock of ``now``, and for which volumes.
    func calls(_ method: String) async throws -> [(volume: String, time: Double)] {
        struct Calls: Decodable {
            let received: [Double]
            let volumes: [String]
        }
        let calls = try await command("calls \(method)", returning: Calls.self)
        return Array(zip(calls.volumes, calls.received))
    }

    /// How many requests the API server had, by verb, resource and status: `create events 201`.
    func requests() async throws -> [String: Int] {
        try await command("requests", returning: [String: Int].self)
    }

    /// What the API server has of events.
    struct Events: Decodable {
        /// How many.
        let events: Int
        /// On how many objects.
        let objects: Int
        /// On how many of these there is more than one.
        let repeated: Int
    }

    /// The events of a reason.
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

    private func command<Answer: Decodable>(_ line: String, returning: Answer.Type) async throws -> Answer {
        _ = try await commands.write(line + "\n")
        let text = try await answers.next()
        if let failure = try? Self.decode(Failure.self, from: text) { throw ToolError(message: failure.error) }
        guard let answer = try Self.decode(Answer.self, from: text) else {
            throw ToolError(message: "the simulated cluster has ended")
        }
        return answer
    }

    private static func decode<Answer: Decodable>(_ type: Answer.Type, from line: String?) throws -> Answer? {
        try line.map { try JSONDecoder().decode(type, from: Data($0.utf8)) }
    }

    // MARK: Waiting

    /// Seconds since the machine's start, as the cluster reports times.
    static var now: Double { ContinuousClock().systemEpoch.duration(to: .now) / .seconds(1) }

    /// Returns when the driver has had so many calls of a method.
    func wait(for method: String, count: Int, by process: Int32, within limit: Duration = .seconds(120)) async throws {
        try await wait(for: "\(count) calls of \(method)", by: process, within: limit) {
            try await self.callCount(method) >= count
        }
    }

    /// Returns when a condition holds, which is looked at ten times a second.
    ///
    /// - Throws: ``ToolError`` when it does not after `limit`, or the process ends.
    func wait(
        for what: String,
        by process: Int32,
        within limit: Duration,
        until condition: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + limit
        while try await !condition() {
            // Throws when the process has ended.
            _ = try ProcessTime(of: process)
            guard ContinuousClock.now < end else { throw ToolError(message: "no \(what) within \(limit)") }
            try await ContinuousClock().sleep(for: .milliseconds(100))
        }
    }
}
