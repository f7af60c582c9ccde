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
        #expect(Self.unquoted(Quote.go(text)) == text)
        let read = try JSONSerialization.jsonObject(with: Data(Quote.json(text).utf8), options: .fragmentsAllowed)
        #expect(read as? String == text)
    }

    private static func text(using random: inout SeededGenerator) -> String {
        // ESC, line feeds, NUL, DEL, C1's CSI, right-to-left override, line separator, a tag, quotes, a character beyond
        // the Basic Multilingual Plane.
        let hostile: [Unicode.Scalar] = [
            "\u{1B}", "\n", "\r", "\u{0}", "\u{7F}", "\u{9B}", "\u{202E}", "\u{2028}", "\u{E0041}", "\"", "\\",
            "\u{1FAB5}",
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...60, using: &random) {
            switch Int.random(in: 0..<3, using: &random) {
            case 0: text.append(hostile.randomElement(using: &random) ?? "x")
            case 1: text.append(Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &random)) ?? "x")
            default: text.append("a")
            }
        }
        return String(text)
    }

    /// What a Go string literal holds, as `strconv.Unquote` reads it; nil if it is not one.
    private static func unquoted(_ literal: String) -> String? {
        let single: [Unicode.Scalar: Unicode.Scalar] = [
            "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r", "t": "\t", "v": "\u{0B}", "\\": "\\",
            "\"": "\"",
        ]
        var text = String.UnicodeScalarView()
        var rest = literal.unicodeScalars.dropFirst().dropLast()
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                if scalar == "\"" { return nil }
                text.append(scalar)
                continue
            }
            guard let kind = rest.popFirst() else { return nil }
            if let plain = single[kind] {
                text.append(plain)
                continue
            }
            let digits: Int? =
                switch kind {
                case "x": 2
                case "u": 4
                case "U": 8
                default: nil
                }
            guard let digits, let value = UInt32(String(rest.prefix(digits)), radix: 16),
                let escaped = Unicode.Scalar(value)
            else { return nil }
            text.append(escaped)
            rest = rest.dropFirst(digits)
        }
        return String(text)
    }
}
