// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct ToolTests {
    @Test(arguments: [
        ("echo broken >&2; exit 3", "/bin/sh exited with 3 before the test was done: broken\n"),
        ("kill -KILL $$", "/bin/sh was ended by a signal before the test was done: "),
    ])
    func `a program that ends early ends what polls beside it`(script: String, description: String) async {
        let failure = await #expect(throws: Tool.Failure.self) {
            try await Tool.run("/bin/sh", ["-c", script]) { _ in
                while true { try await cancellablePollingPause() }
            }
        }
        #expect(failure?.description == description)
    }

    /// Runs a program that writes to both outputs, and again after SIGTERM.
    private func run<Value: Sendable>(
        while body: @escaping @Sendable () async throws -> Value
    ) async throws -> (result: Value, errors: String) {
        let ready = "/tmp/tool-\(UUID().uuidString.prefix(13))"
        defer { try? FileManager.default.removeItem(atPath: ready) }
        let script = """
            trap 'echo last; echo last >&2; exit 0' TERM
            echo first; echo first >&2; touch \(ready)
            while true; do sleep 0.1; done
            """
        return try await Tool.run("/bin/sh", ["-c", script]) { _ in
            while !FileManager.default.fileExists(atPath: ready) { try await cancellablePollingPause() }
            return try await body()
        }
    }

    @Test func `the result of what runs beside a program comes with standard error, to its end`() async throws {
        let (result, errors) = try await run { 7 }
        #expect(result == 7)
        #expect(errors == "first\nlast\n")
    }

    @Test func `an error beside a program has its standard error`() async {
        struct Refused: Error {}
        let failure = await #expect(throws: Tool.Failure.self) {
            try await run { () -> Int in throw Refused() }
        }
        #expect(failure?.description == "Refused(); standard error of /bin/sh: first\nlast\n")
    }
}
