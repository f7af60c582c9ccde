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
