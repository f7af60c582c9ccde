// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation

/// What is measured, of which binaries, how often. A subcommand each.
protocol Scenario: AsyncParsableCommand {
    var benchmark: BenchmarkOptions { get }
    /// Measures a binary once, from nothing to the end.
    func measure(_ sidecar: Sidecar) async throws -> [Figure]
}

extension Scenario {
    func run() async throws {
        let report = try await benchmark.report(of: Self.configuration.commandName ?? "", measure)
        print(report.markdown)
        if let path = benchmark.json { try report.json().write(to: URL(fileURLWithPath: path)) }
        let missed = report.rows.filter { $0.unit == .count && report.isMet($0) == false }
        if benchmark.check, !missed.isEmpty {
            throw ToolError(message: "missed: \(missed.map(\.what).joined(separator: ", "))")
        }
    }

    /// Runs a cluster for as long as `body` runs.
    func withCluster<Result: Sendable>(
        _ configuration: ClusterProcess.Configuration,
        _ body: (ClusterProcess) async throws -> Result
    ) async throws -> Result {
        try await ClusterProcess.with(configuration, body)
    }
}

/// The options that all scenarios have.
struct BenchmarkOptions: ParsableArguments {
    @Option(help: "The sidecar; by default the binary that scripts/build.sh makes.")
    var sidecar = ".build-release/release/csi-health-monitor"

    @Option(
        help: "Another sidecar that takes external-health-monitor's flags, measured in the same runs, by turns."
    )
    var against: String?

    @Option(help: "How often everything is measured.")
    var runs = 5

    @Option(help: "Where to write the report as JSON, besides the table on standard output.")
    var json: String?

    @Flag(
        help: """
            Fail when something that is counted misses its target: a volume of which nothing was reported, an event reported \
            twice, a write at rest.
            """
    )
    var check = false

    func validate() throws {
        guard runs > 0 else { throw ValidationError("--runs must be at least 1") }
        for program in [sidecar, against].compactMap(\.self)
        where !FileManager.default.isExecutableFile(atPath: program) {
            throw ValidationError("there is no program \(program)")
        }
    }

    private var sidecars: [Sidecar] {
        let first = Sidecar(name: (sidecar as NSString).lastPathComponent, path: sidecar)
        guard let against else { return [first] }
        let name = (against as NSString).lastPathComponent
        return [first, Sidecar(name: name == first.name ? "against" : name, path: against)]
    }

    /// Measures all binaries by turns, so that what changes on the machine changes for all.
    fileprivate func report(
        of scenario: String,
        _ measure: (Sidecar) async throws -> [Figure]
    ) async throws -> Report {
        let sidecars = sidecars
        var results = sidecars.map { (binary: $0.name, runs: [[Figure]]()) }
        for run in 1...runs {
            for (index, sidecar) in sidecars.enumerated() {
                FileHandle.standardError.write(Data("\(scenario), run \(run) of \(runs): \(sidecar.path)\n".utf8))
                results[index].runs.append(try await measure(sidecar))
            }
        }
        return Report(
            scenario: scenario,
            arguments: Array(CommandLine.arguments.dropFirst()),
            machine: try await .current(),
            runs: runs,
            results: results
        )
    }
}

extension ClusterProcess.Generation: ExpressibleByArgument {}

/// `20,000`
func grouped(_ count: Int) -> String { Figure.Unit.grouped(count) }
