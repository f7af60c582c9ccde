// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The longest prefix of whole Unicode scalars that takes at most `limit` bytes of UTF-8.
///
/// A prefix does not share the text's memory.
package func bounded(_ text: String, toBytes limit: Int) -> String {
    guard text.utf8.count > limit else { return text }
    let end = text.utf8.index(text.utf8.startIndex, offsetBy: limit)
    // Rounds down to the boundary of a scalar, so that the prefix is valid UTF-8.
    let boundary = text.unicodeScalars.index(before: text.unicodeScalars.index(after: end))
    return String(text.unicodeScalars[..<boundary])
}
