// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Finds numbers by what they stand for: a hash table that holds five bytes for each number, and nothing of what it
/// stands for. Whoever uses it knows the hash of what a number stands for, and whether it is what is looked for.
///
/// Open addressing with linear probing, at most three quarters full.
package struct NumberIndex: Sendable {
    /// Of each slot, eight bits of its number's hash, so that hardly any other number is looked at; 0: it is vacant.
    private var tags: [UInt8] = []
    private var numbers: [UInt32] = []
    package private(set) var count = 0

    package init() {}

    /// The number with this hash that is the one looked for.
    package func first(hash: Int, where isMatch: (UInt32) -> Bool) -> UInt32? {
        guard !tags.isEmpty else { return nil }
        let tag = Self.tag(hash)
        var slot = hash & (tags.count - 1)
        while tags[slot] != 0 {
            if tags[slot] == tag, isMatch(numbers[slot]) { return numbers[slot] }
            slot = (slot + 1) & (tags.count - 1)
        }
        return nil
    }

    /// Adds a number that is not there.
    ///
    /// - Parameters:
    ///   - hash: of what it stands for.
    ///   - hashOfOther: of what a number that is there stands for.
    package mutating func insert(_ number: UInt32, hash: Int, hashOfOther: (UInt32) -> Int) {
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

    /// Removes a number that is there.
    package mutating func remove(_ number: UInt32, hash: (UInt32) -> Int) {
        let mask = tags.count - 1
        var gap = hash(number) & mask
        while tags[gap] == 0 || numbers[gap] != number { gap = (gap + 1) & mask }
        // What follows without a gap is moved up, unless that were before the slot where the search for it begins.
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

    /// Of the bits that do not say where the search begins; never 0.
    private static func tag(_ hash: Int) -> UInt8 {
        max(1, UInt8(truncatingIfNeeded: hash >> 56))
    }
}
