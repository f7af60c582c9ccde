// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Texts, each stored once, one behind the other, and named by four bytes.
///
/// Texts are compared byte by byte, as Kubernetes and CSI compare names. None is removed: whoever has many that nobody
/// uses any more copies the others into a new table.
package struct StringTable: Sendable {
    /// Names a text of the table that gave it.
    package struct Key: Sendable, Hashable {
        /// Where the text's length stands.
        fileprivate let offset: UInt32

        /// For a hash.
        package var number: UInt32 { offset }

        /// No text.
        package static let none = Key(offset: .max)
    }

    /// Of each text its length, seven bits in a byte, lowest first, with the eighth bit set where more follow; then its
    /// UTF-8.
    private var bytes: [UInt8] = []
    private var index = NumberIndex()

    package init() {}

    /// In bytes.
    package var size: Int { bytes.count }

    /// The key of a text that is in the table.
    package func key(of text: String) -> Key? {
        lookUp(text).key
    }

    /// The key of a text, which is added where it is not there yet.
    package mutating func insert(_ text: String) -> Key {
        let (found, hash) = lookUp(text)
        if let found { return found }
        // Four gigabytes of names are beyond any cluster, and beyond the memory that a sidecar is given.
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
        // SAFETY: the pointers are used within the closures only, here and below.
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

    /// Where a text's UTF-8 is.
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

    /// Seeded: names are what anybody who may make a claim chooses.
    private static func hash(_ text: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        unsafe hasher.combine(bytes: text)
        return hasher.finalize()
    }
}
