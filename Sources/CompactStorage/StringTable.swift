// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Interned strings: each is stored once, in one array of bytes, and identified by a key of four bytes.
///
/// Strings are compared byte by byte, as Kubernetes and CSI compare names. None is ever removed: when many are unused,
/// the caller copies the others into a new table.
package struct StringTable: Sendable {
    /// Identifies a string of the table that returned the key.
    package struct Key: Sendable, Hashable {
        /// The position of the string's length.
        fileprivate let offset: UInt32

        /// A number to hash the key by.
        package var number: UInt32 { offset }

        /// No string.
        package static let none = Key(offset: .max)
    }

    /// Each string's length, as a varint (seven bits a byte, lowest first, the eighth bit set where more follow), and
    /// its UTF-8.
    private var bytes: [UInt8] = []
    private var index = NumberIndex()

    package init() {}

    /// The size of all strings with their lengths, in bytes.
    package var size: Int { bytes.count }

    /// The key of a string; nil when the table does not have it.
    package func key(of text: String) -> Key? {
        lookUp(text).key
    }

    /// The key of a string, which is added when the table does not have it.
    package mutating func insert(_ text: String) -> Key {
        let (found, hash) = lookUp(text)
        if let found { return found }
        // Traps beyond four gigabytes: no cluster has so many names, and no sidecar so much memory.
        let key = Key(offset: UInt32(bytes.count))
        var length = text.utf8.count
        while length > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: length) | 0x80)
            length >>= 7
        }
        bytes.append(UInt8(length))
        bytes.append(contentsOf: text.utf8)
        let bytes = bytes
        index.insert(key.offset, hash: hash) { Self.hash($0, in: bytes) }
        return key
    }

    package subscript(key: Key) -> String {
        String(decoding: bytes[Self.range(key.offset, in: bytes)], as: UTF8.self)
    }

    private func lookUp(_ text: String) -> (key: Key?, hash: Int) {
        var text = text
        // SAFETY: here and below, the pointers are used only within the closures.
        return text.withUTF8 { text in
            let hash = unsafe Self.hash(UnsafeRawBufferPointer(text))
            let offset = unsafe bytes.withUnsafeBufferPointer { bytes in
                index.first(hash: hash) { offset in
                    let range = unsafe Self.range(offset, in: bytes)
                    return unsafe range.count == text.count && bytes[range].elementsEqual(text)
                }
            }
            return (offset.map(Key.init), hash)
        }
    }

    /// The range of a string's UTF-8.
    private static func range<Bytes: RandomAccessCollection>(_ offset: UInt32, in bytes: Bytes) -> Range<Int>
    where Bytes.Element == UInt8, Bytes.Index == Int {
        var start = Int(offset) + 1
        var length = Int(bytes[start - 1])
        if length < 0x80 { return start..<start + length }
        length &= 0x7F
        var shift = 7
        while true {
            let byte = bytes[start]
            start += 1
            length |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return start..<start + length }
            shift += 7
        }
    }

    private static func hash(_ offset: UInt32, in bytes: [UInt8]) -> Int {
        let range = range(offset, in: bytes)
        return unsafe bytes.withUnsafeBytes { unsafe hash(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// Seeded, because tenants choose the names of claims.
    private static func hash(_ text: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        unsafe hasher.combine(bytes: text)
        return hasher.finalize()
    }
}
