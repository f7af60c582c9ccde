// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import DriverCheck
import Flags
import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

@Suite(.timeLimit(.minutes(50))) struct CheckTests {
    // MARK: Flags

    @Test func `docs/check.md has the flags of the help, with their defaults`() throws {
        let documented = try FlagTable.flags(ofPage: "docs/check.md")
        let help = HelpEntry.effectiveEntries(of: CheckCommand.self)
        #expect(documented == Dictionary(uniqueKeysWithValues: help.map { ($0.name, $0.defaultText) }))
    }

    @Test func `flags become options`() throws {
        let options = try options([
            "-csi-address=/tmp/csi.sock", "--side", "node", "--timeout=3s", "--volume-id=a", "--volume-path=/p",
            "--staging-path=/s",
        ])
        #expect(options.address == "/tmp/csi.sock")
        #expect(options.side == .node)
        #expect(options.timeout == .seconds(3))
        #expect(options.volumeIDs == ["a"])
        #expect(options.volumePath == "/p")
        #expect(options.stagingPath == "/s")
        #expect(!options.createsVolume)
    }

    @Test func `flags that may be repeated keep all values`() throws {
        let options = try options([
            "--csi-address=/tmp/csi.sock", "--volume-id=a", "--volume-id", "-b", "--create-volume", "--parameter=x=1=2",
            "--parameter=y=",
        ])
        #expect(options.volumeIDs == ["a", "-b"])
        #expect(options.createsVolume)
        #expect(options.parameters == ["x": "1=2", "y": ""])
    }

    @Test(arguments: [
        (["--side=both"], "write controller or node"),
        (["--output=xml"], "write text, json or junit"),
        (["--timeout=0s"], "--timeout must be greater than zero"),
        (["--csi-address=csi.sock"], "--csi-address"),
        (["--side=node", "--create-volume"], "--create-volume requires --side=controller"),
        (["--volume-path=/p", "--volume-id=a"], "--volume-path requires --side=node"),
        (["--side=node", "--volume-path=p", "--volume-id=a"], "--volume-path must be an absolute path"),
        (["--side=node", "--staging-path=/p"], "--staging-path requires one --volume-id"),
        (["--parameter=a=b"], "--parameter requires --create-volume"),
        (["--create-volume", "--parameter=a"], "--parameter: write key=value"),
    ])
    func `an invalid flag is an error that names it`(arguments: [String], message: String) throws {
        let error = #expect(throws: (any Error).self) { try options(["--csi-address=/tmp/csi.sock"] + arguments) }
        let text = error.map { CheckCommand.message(for: $0) } ?? ""
        #expect(text.contains(message), "\(text)")
    }

    private func options(_ arguments: [String]) throws -> CheckOptions {
        let command = try #require(try Program.parse(["check"] + arguments) as? CheckCommand)
        return try command.flags.options()
    }

    // MARK: Output

    @Test func `the output is one JSON document with the result of every check`() async throws {
        try await withDriver(.legacy) { driver in
            driver.volumes = [
                SimulatedVolume(id: "a"), SimulatedVolume(id: "b", condition: .abnormal("\u{1}\"broken\"")),
            ]
            driver.deviate(.acceptsInvalidToken)
            let report = try await DriverCheck(
                CheckOptions(address: driver.socket, timeout: .seconds(3600)),
                suffix: "test"
            ).run()
            let text = CheckCommand.text(report, .json)
            let json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(json["verdict"] as? String == "fail")
            #expect(json["exitCode"] as? Int == 1)
            let checks = try #require(json["checks"] as? [[String: Any]])
            #expect(checks.compactMap { $0["id"] as? String } == Check.all(of: .controller).map(\.rawValue))
            let found = checks.filter { $0["result"] as? String == "found" }
            #expect(found.compactMap { $0["id"] as? String } == ["H034"])
            let finding = try #require((found.first?["findings"] as? [[String: String]])?.first)
            #expect(finding["sent"]?.hasPrefix("ListVolumes max_entries=0 starting_token=") == true)
            #expect(finding["received"] == "OK, 2 entries, next_token \"\"")
            #expect((json["plan"] as? [String: Any])?["callsPerMinute"] as? String == "1")
        }
    }

    // MARK: The program

    @Test(arguments: [(DriverQuirk?.none, Int32(0), "verdict: pass\n"), (.wrongID, 1, "verdict: fail\n")])
    func `the exit code is the verdict`(quirk: DriverQuirk?, code: Int32, verdict: String) async throws {
        try await withDriver(.health) { driver in
            driver.volumes = [SimulatedVolume(id: "a", health: [.init(status: 1, reason: "SlowIO")])]
            if let quirk { driver.deviate(quirk) }
            let outcome = try await Tool.run(
                programPath(),
                ["check", "--csi-address=\(driver.socket)", "--timeout=1h"]
            )
            #expect(outcome.exitCode == code)
            #expect(outcome.output.hasSuffix(verdict), "\(outcome.output)")
            #expect(outcome.errors == "")
        }
    }

    @Test func `a mistyped --volume-id is in every output, and the exit code is 2`() async throws {
        try await withDriver(.health) { driver in
            for output in ["text", "json", "junit"] {
                let outcome = try await Tool.run(
                    programPath(),
                    [
                        "check", "--csi-address=\(driver.socket)", "--timeout=1h", "--volume-id=typo",
                        "--output=\(output)",
                    ]
                )
                #expect(outcome.exitCode == 2)
                #expect(outcome.output.contains("is not found: ControllerGetVolumeHealth"), "\(outcome.output)")
            }
        }
    }

    @Test func `without a socket the exit code is 2`() async throws {
        let outcome = try await Tool.run(programPath(), ["check", "--csi-address=/tmp/no-such.sock"])
        #expect(outcome.exitCode == 2)
        #expect(outcome.output == "verdict: could not run: no socket at /tmp/no-such.sock yet\n")
    }

    @Test func `an invalid flag is one line on standard error, and the exit code is 2`() async throws {
        let outcome = try await Tool.run(programPath(), ["check", "--side=both"])
        #expect(outcome.exitCode == 2)
        #expect(outcome.output == "")
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }

    @Test func `a check that is ended by SIGTERM deletes its volume`() async throws {
        var configuration = SimulatedDriver.Configuration.legacy
        configuration.controllerCapabilities?.append(1)
        try await withDriver(configuration) { driver in
            driver.volumes = [SimulatedVolume(id: "a")]
            driver.deviate(.hangsOnGet)
            _ = try await Tool.run(
                programPath(),
                ["check", "--csi-address=\(driver.socket)", "--create-volume", "--timeout=1h"]
            ) { _ in await driver.journal.wait(for: "ControllerGetVolume", count: 1) }
            #expect(driver.journal.calls("CreateVolume").count == 1)
            #expect(driver.journal.calls("DeleteVolume").count == 1)
            #expect(driver.volumes.map(\.id) == ["a"])
        }
    }

    private func withDriver(
        _ configuration: SimulatedDriver.Configuration,
        _ body: (SimulatedDriver) async throws -> Void
    ) async throws {
        let driver = SimulatedDriver(
            socket: "/tmp/csi-\(UUID().uuidString.prefix(13)).sock",
            configuration: configuration
        )
        try driver.start()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(driver))
        } catch {
            result = .failure(error)
        }
        await driver.stop()
        try result.get()
    }
}
