// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Finds numbers by what they stand for: a hash table that holds four bytes for each number, and nothing of what it
/// stands for. Whoever uses it knows the hash of what a number stands for, and whether it is what is looked for.
///
/// Open addressing with linear probing, at most three quarters full.
struct NumberIndex: Sendable {
    private static let vacant = UInt32.max

    /// A power of two of them, or none.
    private var slots: [UInt32] = []
    private(set) var count = 0

    /// The number with this hash that is the one looked for.
    func first(hash: Int, where isMatch: (UInt32) -> Bool) -> UInt32? {
        guard !slots.isEmpty else { return nil }
        var slot = hash & (slots.count - 1)
        while slots[slot] != Self.vacant {
            if isMatch(slots[slot]) { return slots[slot] }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// Adds a number that is not there.
    ///
    /// - Parameters:
    ///   - number: less than `UInt32.max`.
    ///   - hash: of what a number stands for.
    mutating func insert(_ number: UInt32, hash: (UInt32) -> Int) {
        if 4 * (count + 1) > 3 * slots.count {
            let numbers = slots
            slots = Array(repeating: Self.vacant, count: max(16, 2 * numbers.count))
            for number in numbers where number != Self.vacant { place(number, hash: hash(number)) }
        }
        place(number, hash: hash(number))
        count += 1
    }

    /// Removes a number that is there.
    mutating func remove(_ number: UInt32, hash: (UInt32) -> Int) {
        let mask = slots.count - 1
        var gap = hash(number) & mask
        while slots[gap] != number { gap = (gap + 1) & mask }
        // What follows without a gap is moved up, unless that were before the slot where the search for it begins.
        var slot = (gap + 1) & mask
        while slots[slot] != Self.vacant {
            let distance = (slot - hash(slots[slot])) & mask
            if distance >= (slot - gap) & mask {
                slots[gap] = slots[slot]
                gap = slot
            }
            slot = (slot + 1) & mask
        }
        slots[gap] = Self.vacant
        count -= 1
    }

    private mutating func place(_ number: UInt32, hash: Int) {
        var slot = hash & (slots.count - 1)
        while slots[slot] != Self.vacant { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = number
    }
}
