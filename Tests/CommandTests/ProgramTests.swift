// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import csi_health_monitor

/// The program as a process: what it prints where, and how it ends.
@Suite(.timeLimit(.minutes(1))) struct ProgramTests {
    private struct Outcome: Equatable {
        var exitCode: Int32
        var output: String
        var errors: String
    }

    @Test(arguments: [["--version"], ["-version=true"], ["controller", "--version"]])
    func theVersionIsPrinted(arguments: [String]) throws {
        let expected = Outcome(exitCode: 0, output: "csi-health-monitor \(Program.version)\n", errors: "")
        #expect(try run(arguments) == expected)
    }

    @Test(arguments: [["--help"], ["-h"], ["controller", "-help"]])
    func theHelpIsPrinted(arguments: [String]) throws {
        let outcome = try run(arguments)
        #expect(outcome.exitCode == 0)
        #expect(outcome.output.contains("USAGE: csi-health-monitor [controller] [--flag=value ...]\n"))
        #expect(outcome.errors == "")
    }

    @Test(arguments: [
        (["--no-such-flag=1"], "Unknown option '--no-such-flag'"),
        (["check"], "unexpected argument \"check\""),
        (["--worker-threads=0"], "--worker-threads must be greater than zero"),
        (
            ["--csi-address=/nowhere/csi.sock"],
            "--csi-address: there is no directory /nowhere: No such file or directory"
        ),
    ])
    func anErrorIsOneLineAndExitCodeOne(arguments: [String], message: String) throws {
        let expected = Outcome(exitCode: 1, output: "", errors: "csi-health-monitor: \(message)\n")
        #expect(try run(arguments) == expected)
    }

    private func run(_ arguments: [String]) throws -> Outcome {
        let process = Process()
        // The package's programs are built side by side, the tests among them.
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent()
            .appending(path: "csi-health-monitor")
        process.arguments = arguments
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // What is said on one pipe fits into its buffer while the other is read.
        let outputText = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let errorText = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return Outcome(exitCode: process.terminationStatus, output: outputText, errors: errorText)
    }
}
