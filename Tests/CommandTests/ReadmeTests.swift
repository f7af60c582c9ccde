// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import Testing

@testable import Flags
@testable import csi_health_monitor

@Suite struct ReadmeTests {
    @Test func `the README has the flags of the help that have an effect`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
        let section = try #require(readme.split(separator: "\n## ").first { $0.hasPrefix("Flags\n") })
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `--") }
        let documented = rows.flatMap { Self.flags(in: $0.split(separator: "|")[0]) }

        let help = ControllerCommand.helpMessage(columns: 100)
        let effective = try #require(help.components(separatedBy: "ACCEPTED FOR COMPATIBILITY:").first)
        let options = effective.split(separator: "\n").filter { $0.hasPrefix("  --") }.flatMap {
            Self.flags(in: $0.split(separator: " ")[0])
        }
        #expect(Set(documented) == Set(options))
        #expect(documented.count == Set(documented).count)
    }

    private static func flags(in text: Substring) -> [String] {
        text.matches(of: /--[a-z-]+/).map { String($0.output) }
    }
}
