// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesAPI
import Logging
import Testing

@testable import KubernetesClient

/// Plugins that are shell scripts, run by /bin/sh.
@Suite(.timeLimit(.minutes(50))) struct ExecPluginTests {
    private static let v1 = "client.authentication.k8s.io/v1"

    private func plugin(_ script: String, in directory: String, arguments: [String] = []) throws -> ExecPlugin {
        try write(script, to: "\(directory)/plugin")
        return ExecPlugin(
            apiVersion: Self.v1,
            command: "/bin/sh",
            arguments: ["\(directory)/plugin"] + arguments,
            environment: ["PLUGIN_SETTING": "a b$HOME"],
            info: #"{"kind":"ExecCredential"}"#
        )
    }

    private func run(
        _ script: String,
        arguments: [String] = [],
        // A clock that stands still, so that a busy machine causes no timeout.
        clock: any Clock<Duration> = ManualClock()
    )
        async throws -> ExecPlugin.Output
    {
        var output: ExecPlugin.Output?
        try await withTemporaryDirectory { directory in
            output = try await plugin(script, in: directory, arguments: arguments).run(clock)
        }
        return try #require(output)
    }

    private func text(_ output: ExecPlugin.Output) -> String { String(decoding: output.output, as: UTF8.self) }

    @Test func `arguments and environment variables are passed unchanged`() async throws {
        let script =
            #"printf '%s|%s|%s|%s|' "$1" "$2" "$PLUGIN_SETTING" "$KUBERNETES_EXEC_INFO"; echo note >&2; exit 3"#
        let output = try await run(script, arguments: ["$(echo no) `id`", "*"])
        #expect(text(output) == #"$(echo no) `id`|*|a b$HOME|{"kind":"ExecCredential"}|"#)
        #expect(output.errors == "note\n")
        #expect(output.exitCode == 3)
    }

    @Test func `the environment is inherited and standard input is empty`() async throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        #expect(try await text(run(#"printf %s "$PATH"; cat"#)) == path)
    }

    @Test func `output beyond the limit is rejected`() async throws {
        let error = await #expect(throws: KubernetesConfigurationError.self) {
            try await run("head -c 1048577 /dev/zero; exec sleep 1000")
        }
        #expect(error?.message == "credential plugin printed more than 1048576 bytes")
        #expect(try await run("head -c 1048576 /dev/zero").output.count == 1_048_576)
    }

    @Test func `only the beginning of standard error is kept`() async throws {
        let output = try await run("head -c 1000000 /dev/zero | tr '\\0' x >&2; printf done")
        #expect(output.errors == String(repeating: "x", count: 4096))
        #expect(text(output) == "done")
    }

    @Test(arguments: [
        ": > ready; exec sleep 1000",
        // It never waits for output.
        ": > ready; exec yes >&2",
        "trap '' TERM INT HUP; sleep 1000 & echo $! > child; : > ready; sleep 1000; sleep 1000",
    ])
    func `a plugin that does not end in time is killed with its children`(_ script: String) async throws {
        let clock = ManualClock()
        try await withTemporaryDirectory { directory in
            let plugin = try plugin("cd '\(directory)'\necho $$ > process\n\(script)", in: directory)
            await withTaskGroup { group in
                group.addTask {
                    let error = await #expect(throws: KubernetesConfigurationError.self) {
                        try await plugin.run(clock)
                    }
                    #expect(error?.message == "credential plugin did not end within 30.0 seconds")
                }
                await clock.sleepers(1)
                // The processes whose ids the script has written are running by then.
                while !Task.isCancelled, !FileManager.default.fileExists(atPath: "\(directory)/ready") {
                    await pollingPause()
                }
                clock.advance(by: .seconds(30))
            }
            for file in ["process", "child"] {
                guard let text = try? String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8) else { continue }
                let process = text.trimmingCharacters(in: .whitespacesAndNewlines)
                while !Task.isCancelled, isRunning(process) { await pollingPause() }
                #expect(!isRunning(process))
            }
        }
    }

    /// Whether a process exists and is not a zombie.
    private func isRunning(_ process: String) -> Bool {
        guard let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
        return state.split(separator: ")").last?.hasPrefix(" Z") == false
    }

    @Test func `cancellation kills the plugin`() async throws {
        let clock = ManualClock()
        try await withTemporaryDirectory { directory in
            let plugin = try plugin("exec sleep 1000", in: directory)
            await withTaskGroup { group in
                group.addTask {
                    await #expect(throws: (any Error).self) { try await plugin.run(clock) }
                }
                await clock.sleepers(1)
                group.cancelAll()
            }
        }
    }

    @Test(arguments: [
        ("no-such-credential-plugin", " in PATH"), ("/no/such/plugin", ""), ("/dev/null", ""), ("/tmp", ""),
    ])
    func `a missing plugin is an error with the install hint`(_ command: String, place: String) async throws {
        try await withTemporaryDirectory { directory in
            var plugin = try plugin("", in: directory)
            plugin.command = command
            plugin.installHint = "install it from example.org"
            let error = await #expect(throws: KubernetesConfigurationError.self) {
                try await plugin.run(ContinuousClock())
            }
            #expect(error?.code == .missing)
            #expect(
                error?.message == "credential plugin \(command) was not found\(place), or is not executable: "
                    + "install it from example.org"
            )
        }
    }

    @Test func `a name is looked up in PATH`() async throws {
        try await withTemporaryDirectory { directory in
            var plugin = try plugin("printf found", in: directory)
            plugin.command = "sh"
            #expect(try await text(plugin.run(ManualClock())) == "found")
        }
    }
}
