// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import DriverCheck

@Suite struct PageTests {
    @Test func `every check has its own definition, with all texts`() {
        #expect(Set(Check.definitions.keys) == Set(Check.allCases))
        for check in Check.allCases {
            let definition = check.definition
            let texts = [
                definition.section, definition.title, definition.advice, definition.effect, definition.skipReason,
            ]
            #expect(texts.allSatisfy { !$0.isEmpty }, "\(check)")
            #expect(!definition.sides.isEmpty, "\(check)")
        }
        let titles = Check.allCases.map(\.definition.title)
        #expect(Set(titles).count == titles.count)
    }

    @Test func `docs/check.md lists the checks with severity, section and advice`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/check.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| H") }.map(String.init)
        let expected = Check.allCases.map { check in
            let definition = check.definition
            return
                "| \(check.rawValue) | \(definition.severity.rawValue) | \(definition.title) | \(definition.section) "
                + "| \(definition.advice) | \(definition.effect) |"
        }
        #expect(rows == expected)
    }
}
