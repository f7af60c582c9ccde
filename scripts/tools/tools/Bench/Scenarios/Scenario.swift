// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation

/// A benchmark, as a subcommand.
protocol Scenario: AsyncParsableCommand {
    var benchmark: BenchmarkOptions { get }
    /// Measures a binary once, with a new cluster.
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

/// The options of all scenarios.
struct BenchmarkOptions: ParsableArguments {
    @Option(help: "The sidecar; by default the binary of scripts/build.sh.")
    var sidecar = ".build-release/release/csi-health-monitor"

    @Option(
        help: "Another sidecar with external-health-monitor's flags, measured alternately in the same runs."
    )
    var against: String?

    @Option(help: "The number of runs.")
    var runs = 5

    @Option(help: "A file for the report as JSON, besides the table on standard output.")
    var json: String?

    @Flag(
        help: """
            Fail when a count misses its target: volumes without a report, repeated reports, writes in the steady state.
            """
    )
    var check = false

    func validate() throws {
        guard runs > 0 else { throw ValidationError("--runs must be at least 1") }
        for program in [sidecar, against].compactMap(\.self)
        where !FileManager.default.isExecutableFile(atPath: program) {
            throw ValidationError("\(program) is not an executable file")
        }
    }

    private var sidecars: [Sidecar] {
        let first = Sidecar(name: (sidecar as NSString).lastPathComponent, path: sidecar)
        guard let against else { return [first] }
        let name = (against as NSString).lastPathComponent
        return [first, Sidecar(name: name == first.name ? "against" : name, path: against)]
    }

    /// Measures all binaries alternately, so that changes of the machine affect all of them.
    fileprivate func report(
        of scenario: String,
        _ measure: (Sidecar) async throws -> [Figure]
    ) async throws -> BenchmarkReport {
        let sidecars = sidecars
        var results = sidecars.map { (binary: $0.name, runs: [[Figure]]()) }
        for run in 1...runs {
            for (index, sidecar) in sidecars.enumerated() {
                FileHandle.standardError.write(Data("\(scenario), run \(run) of \(runs): \(sidecar.path)\n".utf8))
                results[index].runs.append(try await measure(sidecar))
            }
        }
        return BenchmarkReport(
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
