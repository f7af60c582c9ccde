// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Reads the input's bytes from the front. After the end it returns zeros.
struct FuzzInput {
    private var remaining: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        remaining = bytes[...]
    }

    var isEmpty: Bool { remaining.isEmpty }

    var count: Int { remaining.count }

    mutating func byte() -> UInt8 {
        remaining.popFirst() ?? 0
    }

    /// A number below `bound`, from one byte.
    mutating func number(below bound: Int) -> Int {
        Int(byte()) % bound
    }

    /// Eight bytes, big-endian.
    mutating func word() -> UInt64 {
        (0..<8).reduce(0) { word, _ in word << 8 | UInt64(byte()) }
    }

    /// At most `count` bytes.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { remaining = remaining.dropFirst(count) }
        return Array(remaining.prefix(count))
    }

    /// All remaining bytes.
    mutating func rest() -> [UInt8] {
        bytes(remaining.count)
    }

    /// Bytes with a length of two bytes before them.
    mutating func block() -> [UInt8] {
        let high = Int(byte())
        return bytes(high << 8 | Int(byte()))
    }

    /// The bytes up to the next line feed, which is dropped.
    mutating func line() -> [UInt8] {
        let line = bytes((remaining.firstIndex(of: UInt8(ascii: "\n")) ?? remaining.endIndex) - remaining.startIndex)
        _ = bytes(1)
        return line
    }

    /// A text with a length of one byte before it. Invalid UTF-8 is repaired.
    mutating func text() -> String {
        String(decoding: bytes(Int(byte())), as: UTF8.self)
    }

    /// All remaining bytes in pieces. Before them come the number of lengths and the lengths, which repeat.
    mutating func pieces() -> [[UInt8]] {
        let lengths = (0..<number(below: 8)).map { _ in Int(byte()) }
        guard lengths.contains(where: { $0 > 0 }) else { return [rest()] }
        var pieces: [[UInt8]] = []
        while !isEmpty {
            pieces.append(bytes(lengths[pieces.count % lengths.count]))
        }
        return pieces
    }
}
