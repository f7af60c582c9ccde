// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import DriverCheck
import Flags
import UnixSignals
import VolumeStatus

/// The `check` command.
struct CheckCommand: ProgramCommand {
    static let name = "check"
    static let summary = "Checks a CSI driver's health RPCs against the CSI specification. Needs no cluster."
    static let booleans = CheckFlags.booleans
    static let isService = false
    static let failureCode: Int32 = 2

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: summary,
        usage: "csi-health-monitor check [--flag=value ...]",
        discussion: """
            Calls the driver as a health monitor does, and with arguments to which the specification has the response. \
            Changes nothing, unless --create-volume is set.

            Exit codes: 0 pass, also with warnings; 1 errors were found; 2 the check could not run.
            """
    )

    @OptionGroup var flags: CheckFlags

    func run() async throws {
        let check = DriverCheck(try flags.options(), suffix: String(UInt64.random(in: .min ... .max), radix: 36))
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let report = try await check.run { for await _ in signals { return } }
        try StatusSink.process.output(Self.text(report, flags.output))
        if flags.output != .text, let problem = report.leftover ?? report.problem {
            StatusSink.process.errors("csi-health-monitor: \(problem)\n")
        }
        guard report.exitCode == 0 else { throw ExitCode(report.exitCode) }
    }

    static func text(_ report: CheckReport, _ output: CheckFlags.Output) -> String {
        switch output {
        case .text: report.text
        case .json: report.structured.json + "\n"
        case .junit: report.junit
        }
    }
}
