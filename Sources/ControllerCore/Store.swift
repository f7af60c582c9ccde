// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A dictionary that a list-and-watch fills: a new list replaces it in whole, without a moment in which it is empty.
struct Store<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var value: Value
        /// The list that this entry was last seen in or after.
        var generation: UInt32
    }

    private var entries: [Key: Entry] = [:]
    private var generation: UInt32 = 0

    var values: some Collection<Value> {
        entries.values.lazy.map(\.value)
    }

    subscript(key: Key) -> Value? {
        entries[key]?.value
    }

    mutating func beginRelist() {
        generation &+= 1
    }

    /// Drops and returns what was not seen since ``beginRelist()``.
    mutating func endRelist() -> [Value] {
        let stale = entries.filter { $0.value.generation != generation }
        for key in stale.keys {
            entries[key] = nil
        }
        return stale.values.map(\.value)
    }

    /// Returns what was there before.
    @discardableResult
    mutating func update(_ value: Value, for key: Key) -> Value? {
        entries.updateValue(Entry(value: value, generation: generation), forKey: key)?.value
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        entries.removeValue(forKey: key)?.value
    }
}
