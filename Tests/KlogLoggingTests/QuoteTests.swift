// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KlogLogging

@Suite struct QuoteTests {
    /// Names and messages come from tenants and drivers: they must not break a line or control a terminal.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `a quoted text has no control characters`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let text = Self.text(using: &random)
        for quoted in [Quote.go(text), Quote.json(text)] {
            for scalar in quoted.unicodeScalars {
                let isHarmful = [.control, .format, .lineSeparator, .paragraphSeparator].contains(
                    scalar.properties.generalCategory
                )
                #expect(!isHarmful, "U+\(String(scalar.value, radix: 16)) in \(quoted)")
            }
            #expect(quoted.hasPrefix("\"") && quoted.hasSuffix("\""))
        }
        let read = try JSONSerialization.jsonObject(with: Data(Quote.json(text).utf8), options: .fragmentsAllowed)
        #expect(read as? String == text)
    }

    private static func text(using random: inout SeededGenerator) -> String {
        // ESC, line feeds, NUL, DEL, C1's CSI, right-to-left override, line separator, a tag, quotes, a surrogate pair.
        let nasty: [Unicode.Scalar] = [
            "\u{1B}", "\n", "\r", "\u{0}", "\u{7F}", "\u{9B}", "\u{202E}", "\u{2028}", "\u{E0041}", "\"", "\\",
            "\u{1FAB5}",
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...60, using: &random) {
            switch Int.random(in: 0..<3, using: &random) {
            case 0: text.append(nasty.randomElement(using: &random) ?? "x")
            case 1: text.append(Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &random)) ?? "x")
            default: text.append("a")
            }
        }
        return String(text)
    }
}
