// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

/// The tables of docs/architecture.md with which a reader follows one report from the driver to its event.
@Suite struct ReportWayTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test(arguments: [("The way of a report", 8), ("The way of a report on a node", 9)])
    func `each file of the way exists once and has the functions that are to be read`(
        section: String,
        files: Int
    ) throws {
        let page = try String(contentsOf: Self.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        let begin = try #require(page.range(of: "\n## \(section)\n"))
        let text = page[begin.upperBound...]
        let rows = (text.range(of: "\n## ").map { text[..<$0.lowerBound] } ?? text).split(separator: "\n").compactMap {
            $0.wholeMatch(of: /\| (?<number>\d+) \| `(?<file>[^`]+)` \| (?<functions>[^|]*) \|.*/)
        }
        #expect(rows.map { String($0.number) } == (1...files).map(String.init))
        for row in rows {
            let paths = Self.sources.filter { $0.lastPathComponent == row.file }
            #expect(paths.count == 1, "\(row.file)")
            let source = try paths.map { try String(contentsOf: $0, encoding: .utf8) }.joined()
            for function in row.functions.matches(of: /`(\w+)`/).map(\.1) {
                let isDeclared = source.contains("func \(function)(") || source.contains("func \(function)<")
                #expect(isDeclared, "\(row.file) has no function \(function)")
            }
        }
    }

    private static let sources =
        FileManager.default.enumerator(at: root.appending(path: "Sources"), includingPropertiesForKeys: nil)?
        .compactMap { $0 as? URL } ?? []
}
