// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// Returns when a condition holds, which is polled ten times a second.
///
/// - Parameter process: the process that is measured.
/// - Throws: ``ToolError`` after `limit`, or when the process ends.
func poll(
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

extension ToolError {
    /// An error with the end of the log of the process that is measured.
    init(_ error: any Error, log: String) {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        let end = text.split(separator: "\n").suffix(5).joined(separator: "\n")
        self.init(message: "\(error)\n\(end)")
    }
}
