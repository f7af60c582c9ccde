// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Quotes texts for log lines. The result contains no line feed, no control character and no bidirectional control, so
/// a log is safe to read on a terminal.
enum Quote {
    /// As Go's `strconv.Quote`: a Go string literal.
    static func go(_ text: String) -> String {
        quoted(text) { scalar in
            switch scalar {
            case "\u{07}": "\\a"
            case "\u{08}": "\\b"
            case "\u{0C}": "\\f"
            case "\u{0B}": "\\v"
            case _ where scalar.value < 0x80: "\\x" + hexadecimal(scalar.value, digits: 2)
            case _ where scalar.value < 0x1_0000: "\\u" + hexadecimal(scalar.value, digits: 4)
            default: "\\U" + hexadecimal(scalar.value, digits: 8)
            }
        }
    }

    /// A JSON string. Characters that do not print are escaped even where JSON does not require it.
    static func json(_ text: String) -> String {
        quoted(text) { scalar in
            String(scalar).utf16.map { "\\u" + hexadecimal(UInt32($0), digits: 4) }.joined()
        }
    }

    /// The text in double quotes.
    ///
    /// - Parameter escape: the escape sequence of a character that does not print and that Go and JSON escape
    ///   differently.
    private static func quoted(_ text: String, escape: (Unicode.Scalar) -> String) -> String {
        if isPlain(text) { return "\"\(text)\"" }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.isPrintable: quoted.unicodeScalars.append(scalar)
            default: quoted += escape(scalar)
            }
        }
        return quoted + "\""
    }

    /// A key of a text line: bare, as klog writes it, or quoted if it would be ambiguous.
    static func key(_ key: String) -> String {
        let isPlain = key.unicodeScalars.allSatisfy { $0.isPrintable && $0 != " " && $0 != "=" && $0 != "\"" }
        return isPlain && !key.isEmpty ? key : go(key)
    }

    /// Whether `text` is ASCII without anything to escape: the fast path for most texts.
    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    }

    private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        String(value, radix: 16).leftPadded(to: digits, with: "0")
    }
}

extension Unicode.Scalar {
    /// As Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
    fileprivate var isPrintable: Bool {
        if value < 0x7F { return value >= 0x20 }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
            .paragraphSeparator:
            return false
        default:
            return true
        }
    }
}

extension String {
    func leftPadded(to width: Int, with character: Character) -> String {
        String(repeating: character, count: max(0, width - count)) + self
    }
}
