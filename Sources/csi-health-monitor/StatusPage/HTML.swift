// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Texts in HTML.
enum HTML {
    /// A text as the content of an element, or as the value of an attribute in double quotes.
    ///
    /// No part of the result is markup. What does not print (control characters, and those that change the direction of
    /// the text) is shown as its number, `[U+202E]`; a line feed or a tab is a space.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "\n", "\t": escaped += " "
            case _ where scalar.isInvisible:
                let number = String(scalar.value, radix: 16, uppercase: true)
                escaped += "[U+" + String(repeating: "0", count: max(0, 4 - number.count)) + number + "]"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension Unicode.Scalar {
    fileprivate var isInvisible: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
