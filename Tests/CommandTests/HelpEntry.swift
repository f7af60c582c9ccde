// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import Testing

@testable import csi_health_monitor

/// A flag in the help of a command.
struct HelpEntry {
    var name: String
    /// The placeholder for its value.
    var value: String
    var defaultText: String

    static func entries(of command: any ParsableCommand.Type) -> [HelpEntry] {
        entries(in: command.helpMessage(columns: 1000))
    }

    /// Without the flags that are accepted and ignored.
    static func effectiveEntries(of command: any ParsableCommand.Type) -> [HelpEntry] {
        let parts = command.helpMessage(columns: 1000).components(separatedBy: "ACCEPTED FOR COMPATIBILITY:")
        return entries(in: parts[0])
    }

    private static func entries(in help: String) -> [HelpEntry] {
        let lines = help.components(separatedBy: "\n")
        return lines.indices.filter { lines[$0].hasPrefix("  --") }.map { index in
            let label = lines[index].drop { $0 == " " || $0 == "-" }.prefix { $0 != ">" }.split(separator: " <")
            // After a long label the text is on the next line.
            let text = lines[index].hasSuffix(">") ? lines[index + 1] : lines[index]
            let defaultText = text.components(separatedBy: "(default: ").dropFirst().last?.dropLast()
            return HelpEntry(
                name: String(label[0]),
                value: String(label[1]),
                defaultText: defaultText.map(String.init) ?? ""
            )
        }
    }
}

/// The table of flags in the section "Flags" of a page.
enum FlagTable {
    /// The default of each flag.
    static func flags(ofPage path: String) throws -> [String: String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
        let section = try #require(page.split(separator: "\n## ").first { $0.hasPrefix("Flags\n") })
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `--") }
        let flags = rows.flatMap { row in
            let cells = row.split(separator: "|")
            let names = cells[0].matches(of: /--([a-z-]+)/).map { String($0.1) }
            let defaults = cells[1].matches(of: /`([^`]*)`/).map { String($0.1) }
            return names.indices.map { (names[$0], $0 < defaults.count ? defaults[$0] : "") }
        }
        #expect(Set(flags.map(\.0)).count == flags.count)
        return Dictionary(flags) { first, _ in first }
    }
}
