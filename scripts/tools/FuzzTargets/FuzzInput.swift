// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Bytes, taken from the front. Where there are none left, zeros come.
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

    /// A number below `bound`, of one byte.
    mutating func number(below bound: Int) -> Int {
        Int(byte()) % bound
    }

    /// Eight bytes, big-endian.
    mutating func word() -> UInt64 {
        (0..<8).reduce(0) { word, _ in word << 8 | UInt64(byte()) }
    }

    /// As many bytes, or as there are.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { remaining = remaining.dropFirst(count) }
        return Array(remaining.prefix(count))
    }

    /// All that is left.
    mutating func rest() -> [UInt8] {
        bytes(remaining.count)
    }

    /// As many bytes as the next two say.
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

    /// Text of as many bytes as the next one says. What is no UTF-8 in it is replaced.
    mutating func text() -> String {
        String(decoding: bytes(Int(byte())), as: UTF8.self)
    }

    /// All that is left, in pieces whose lengths come first: how many there are, and each; they repeat.
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
