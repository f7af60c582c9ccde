// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A dictionary that a list and watch fills, as client-go's cache.Store: a new list replaces the contents as a whole,
/// and until it is complete the old ones stay in use.
struct Store<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var value: Value
        /// The number of the latest list when this entry was last seen.
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

    /// Removes and returns the values that were not seen since ``beginRelist()``.
    mutating func endRelist() -> [Value] {
        let stale = entries.filter { $0.value.generation != generation }
        for key in stale.keys {
            entries[key] = nil
        }
        return stale.values.map(\.value)
    }

    /// Returns the previous value.
    @discardableResult
    mutating func update(_ value: Value, for key: Key) -> Value? {
        entries.updateValue(Entry(value: value, generation: generation), forKey: key)?.value
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        entries.removeValue(forKey: key)?.value
    }
}
