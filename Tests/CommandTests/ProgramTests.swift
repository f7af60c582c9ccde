// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The program as a process: what it prints where, and how it ends.
@Suite(.timeLimit(.minutes(30))) struct ProgramTests {
    @Test(arguments: [["--version"], ["-version=true"], ["controller", "--version"]])
    func theVersionIsPrinted(arguments: [String]) async throws {
        let expected = Tool.Outcome(exitCode: 0, output: "csi-health-monitor \(Program.version)\n", errors: "")
        let outcome = try await run(arguments)
        #expect(outcome == expected)
    }

    @Test(arguments: [["--help"], ["-h"], ["controller", "-help"]])
    func theHelpIsPrinted(arguments: [String]) async throws {
        let outcome = try await run(arguments)
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
    func anErrorIsOneLineAndExitCodeOne(arguments: [String], message: String) async throws {
        let expected = Tool.Outcome(exitCode: 1, output: "", errors: "csi-health-monitor: \(message)\n")
        let outcome = try await run(arguments)
        #expect(outcome == expected)
    }

    private func run(_ arguments: [String]) async throws -> Tool.Outcome {
        try await Tool.run(programPath(), arguments)
    }
}

/// Where the program is: the package's programs are built side by side, the tests among them.
func programPath() throws -> String {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "csi-health-monitor").path
}
