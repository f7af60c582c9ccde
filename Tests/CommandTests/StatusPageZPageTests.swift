// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Testing

@testable import Flags
@testable import csi_health_monitor

/// The pages `/statusz` and `/flagz`.
@Suite struct StatusPageZPageTests {
    @Test func `statusz has the text of Kubernetes' components`() {
        let text = ZPage.statusz(
            build: .init(version: "1.2.3", revision: "0fc2dc3", swiftVersion: "6.3"),
            uptime: .milliseconds(93_784_999),
            now: StatusPageScene.now,
            paths: ["/metrics", "/readyz", "/healthz/driver", "/healthz/leader-election", "/"]
        )
        #expect(
            text == """

                csi-health-monitor statusz
                Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and \
                is for debugging purposes only.

                Started: Sat Nov 28 14:56:55 UTC 2026
                Up: 26 hr 03 min 04 sec
                Swift version: 6.3
                Binary version: 1.2.3

                Paths: /healthz /metrics /readyz

                """
        )
    }

    @Test func `flagz has a line for each flag, by name`() {
        let text = ZPage.flagz(["v": "0", "csi-address": "/csi/csi.sock", "kubeconfig": ""])
        #expect(
            text.hasPrefix("\ncsi-health-monitor flagz\nWarning: This endpoint is not meant to be machine parseable")
        )
        #expect(text.hasSuffix("only.\ncsi-address=/csi/csi.sock\nkubeconfig=\nv=0\n"))
    }

    @Test func `flagz has every flag of the help with its default`() throws {
        func defaults(_ command: any ParsableCommand.Type) -> [String: String] {
            let entries = HelpEntry.entries(of: command)
            return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.defaultText) })
        }
        #expect(try ControllerFlags.parse([]).values == defaults(ControllerCommand.self))
        #expect(try AgentFlags.parse([]).values == defaults(AgentCommand.self))
    }

    /// A value other than the default, by the placeholder in the help.
    private static let examples = [
        "address": ["x:1"], "bool": ["true", "false"], "bytes": ["64Ki"], "count": ["7"], "duration": ["7s"],
        "file:N": ["a.go:1"], "format": ["json"], "key:value,...": ["a:b"], "kind": ["node-stage"], "level": ["7"],
        "megabytes": ["7"], "name": ["x"], "name,...": ["x"], "number": ["7"], "path": ["/x"],
        "pattern=N,...": ["a=1"], "severity": ["1"], "when": ["never"],
    ]

    @Test func `flagz has the value of each flag`() throws {
        func check(_ command: any ParsableCommand.Type, _ values: ([String]) throws -> [String: String]) throws {
            let defaults = try values([])
            for entry in HelpEntry.entries(of: command) {
                let examples = try #require(Self.examples[entry.value], "\(entry.value)")
                let value = try #require(examples.first { $0 != entry.defaultText })
                var expected = defaults
                expected[entry.name] = value
                #expect(try values(["--\(entry.name)=\(value)"]) == expected)
            }
        }
        try check(ControllerCommand.self) { try ControllerFlags.parse($0).values }
        try check(AgentCommand.self) { try AgentFlags.parse($0).values }
    }
}
