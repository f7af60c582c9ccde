// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// As many characters from the text's beginning as take at most `limit` bytes of UTF-8.
///
/// The copy does not share the text's memory.
package func bounded(_ text: String, toBytes limit: Int) -> String {
    guard text.utf8.count > limit else { return text }
    let end = text.utf8.index(text.utf8.startIndex, offsetBy: limit)
    // Rounded down to a scalar: whole code points are what UTF-8 asks for.
    let boundary = text.unicodeScalars.index(before: text.unicodeScalars.index(after: end))
    return String(text.unicodeScalars[..<boundary])
}
