// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Interned strings: each is stored once, in one array of bytes, and identified by a key of four bytes.
///
/// Strings are compared byte by byte, as Kubernetes and CSI compare names. No string is ever removed: when many are no
/// longer used, the caller copies the used ones into a new table, which has other keys.
public struct StringTable: Sendable {
    /// Identifies a string in the table that returned the key, and in copies of that table.
    public struct Key: Sendable, Hashable {
        /// The position of the string's length.
        fileprivate let offset: UInt32

        /// Different for each string of a table; for hash tables that are indexed by keys.
        public var number: UInt32 { offset }

        /// Stands for the absence of a string; no table has it.
        public static let none = Key(offset: .max)
    }

    /// Each string's length, as a varint (seven bits a byte, lowest first, the eighth bit set where more follow), and
    /// its UTF-8.
    private var bytes: [UInt8] = []
    private var index = NumberIndex()

    /// A table without strings.
    public init() {}

    /// The size of all strings with their lengths, in bytes.
    public var size: Int { bytes.count }

    /// The key of a string; nil when the table does not have it.
    public func key(of text: String) -> Key? {
        lookUp(text).key
    }

    /// The key of a string, which is added when the table does not have it. Traps when the table would exceed 4 GiB.
    public mutating func insert(_ text: String) -> Key {
        let (found, hash) = lookUp(text)
        if let found { return found }
        // The conversion traps beyond 4 GiB: no cluster has that many names, and no sidecar that much memory.
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

    /// The string with this key, which must be of this table and not ``Key/none``.
    public subscript(key: Key) -> String {
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

    /// The range of a string's UTF-8, without its length.
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

    /// `Hasher` has a random seed in each process, so that tenants, who choose the names of claims, cannot make them
    /// collide.
    private static func hash(_ text: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        unsafe hasher.combine(bytes: text)
        return hasher.finalize()
    }
}
