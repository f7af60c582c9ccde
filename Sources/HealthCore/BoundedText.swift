// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The longest prefix of whole Unicode scalars that takes at most `limit` bytes of UTF-8.
///
/// A prefix does not share the text's memory.
package func bounded(_ text: String, toBytes limit: Int) -> String {
    guard text.utf8.count > limit else { return text }
    // The end of a range of scalars is rounded down to the boundary of one, so that the prefix is valid UTF-8.
    return String(text.unicodeScalars[..<text.utf8.index(text.startIndex, offsetBy: limit)])
}

/// The text on one line, as a log, a page or a terminal may show it: with spaces in place of control and format
/// characters, which any driver, and any writer of an event, can put there.
package func printable(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    guard !isPlain else { return text }
    return String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: " "
                default: scalar
                }
            }
        )
    )
}
