// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

/// Requests to the HTTP endpoint of a program.
enum ProgramPage {
    /// Runs curl, again while the program closes the connection without a response: on a busy machine, its time limit of
    /// ten seconds may end before it has read the request.
    ///
    /// - Returns: standard output, whatever the HTTP status.
    static func get(_ path: String, port: UInt16, _ options: [String] = []) async throws -> String {
        let curl = try Tool.find("curl", package: "curl")
        let arguments = ["--silent", "--show-error"] + options + ["http://127.0.0.1:\(port)\(path)"]
        while true {
            let outcome = try await Tool.run(curl, arguments)
            // curl(1), EXIT CODES: nothing was returned; receiving network data failed.
            if [52, 56].contains(outcome.exitCode) { continue }
            #expect(outcome.exitCode == 0, "\(outcome.errors)")
            return outcome.output
        }
    }
}
