// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A hash table of numbers that stand for values stored elsewhere. It takes five bytes for each slot and stores no
/// values: the caller supplies the hash of a number's value and compares values.
///
/// Open addressing with linear probing, at most three quarters full.
public struct NumberIndex: Sendable {
    /// Eight bits of the hash of each slot's number, which rule out almost every other number without a comparison; 0:
    /// the slot is vacant.
    @usableFromInline var tags: [UInt8] = []
    @usableFromInline var numbers: [UInt32] = []
    /// How many numbers there are.
    public internal(set) var count = 0

    /// A table without numbers.
    public init() {}

    /// The first number with this hash that matches; nil when there is none.
    @inlinable public func first(hash: Int, where isMatch: (UInt32) -> Bool) -> UInt32? {
        guard !tags.isEmpty else { return nil }
        let tag = Self.tag(hash)
        var slot = hash & (tags.count - 1)
        while tags[slot] != 0 {
            if tags[slot] == tag, isMatch(numbers[slot]) { return numbers[slot] }
            slot = (slot + 1) & (tags.count - 1)
        }
        return nil
    }

    /// Adds a number, which must not be in the table yet.
    ///
    /// - Parameters:
    ///   - hash: the hash of its value.
    ///   - hashOfOther: the hash of the value of a number in the table, called when the table grows.
    public mutating func insert(_ number: UInt32, hash: Int, hashOfOther: (UInt32) -> Int) {
        if 4 * (count + 1) > 3 * tags.count {
            let (oldTags, oldNumbers) = (tags, numbers)
            let capacity = max(16, 2 * tags.count)
            tags = Array(repeating: 0, count: capacity)
            numbers = Array(repeating: 0, count: capacity)
            for slot in oldTags.indices where oldTags[slot] != 0 {
                place(oldNumbers[slot], hash: hashOfOther(oldNumbers[slot]))
            }
        }
        place(number, hash: hash)
        count += 1
    }

    /// Removes a number, which must be in the table.
    public mutating func remove(_ number: UInt32, hash: (UInt32) -> Int) {
        let mask = tags.count - 1
        var gap = hash(number) & mask
        while tags[gap] == 0 || numbers[gap] != number { gap = (gap + 1) & mask }
        // Moves up the numbers that follow without a vacant slot, but none before the slot where the search for it
        // begins.
        var slot = (gap + 1) & mask
        while tags[slot] != 0 {
            let distance = (slot - hash(numbers[slot])) & mask
            if distance >= (slot - gap) & mask {
                (tags[gap], numbers[gap]) = (tags[slot], numbers[slot])
                gap = slot
            }
            slot = (slot + 1) & mask
        }
        tags[gap] = 0
        count -= 1
    }

    private mutating func place(_ number: UInt32, hash: Int) {
        var slot = hash & (tags.count - 1)
        while tags[slot] != 0 { slot = (slot + 1) & (tags.count - 1) }
        (tags[slot], numbers[slot]) = (Self.tag(hash), number)
    }

    /// The top eight bits of the hash: the slot where the search begins depends on the low bits. Never 0.
    @inlinable static func tag(_ hash: Int) -> UInt8 {
        max(1, UInt8(truncatingIfNeeded: hash >> 56))
    }
}
