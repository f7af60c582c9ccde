// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An element of a ``RecordTable``: fixed-size fields and keys of a ``StringTable``, nothing on the heap.
package protocol Record: Sendable {
    /// Identifies the record; never `none`, which marks a vacant position.
    var key: StringTable.Key { get set }
}

/// Records of a fixed size in one array, found by their keys.
package struct RecordTable<Element: Record>: Sendable {
    private var records: [Element] = []
    private var vacancies: [UInt32] = []
    private var index = NumberIndex()

    package init() {}

    package var count: Int { index.count }

    /// The position of the record with this key, which stays the same until the record is removed.
    package func position(of key: StringTable.Key) -> Int? {
        index.first(hash: Self.hash(key)) { records[Int($0)].key == key }.map(Int.init)
    }

    /// The positions of all records.
    package var positions: some Sequence<Int> {
        records.indices.lazy.filter { records[$0].key != .none }
    }

    /// Whether there is a record at this position.
    package func contains(_ position: Int) -> Bool {
        records.indices.contains(position) && records[position].key != .none
    }

    /// The record at a position. Its key must not be changed.
    package subscript(position: Int) -> Element {
        get { records[position] }
        set { records[position] = newValue }
    }

    package subscript(key: StringTable.Key) -> Element? {
        position(of: key).map { records[$0] }
    }

    /// Adds a record, whose key must not be in the table yet, and returns its position.
    @discardableResult
    package mutating func insert(_ record: Element) -> Int {
        let position: UInt32
        if let vacancy = vacancies.popLast() {
            position = vacancy
            records[Int(position)] = record
        } else {
            position = UInt32(records.count)
            records.append(record)
        }
        let keyed = records
        index.insert(position, hash: Self.hash(record.key)) { Self.hash(keyed[Int($0)].key) }
        return Int(position)
    }

    package mutating func remove(at position: Int) {
        do {
            // The copy shares the array only within this scope, so that the records below are changed in place.
            let records = records
            index.remove(UInt32(position)) { Self.hash(records[Int($0)].key) }
        }
        records[position].key = .none
        vacancies.append(UInt32(position))
    }

    /// Changes all records, their keys included. Their positions stay the same.
    package mutating func rekey(_ change: (inout Element) -> Void) {
        index = NumberIndex()
        for position in records.indices where records[position].key != .none {
            change(&records[position])
        }
        let keyed = records
        for position in positions {
            index.insert(UInt32(position), hash: Self.hash(keyed[position].key)) { Self.hash(keyed[Int($0)].key) }
        }
    }

    /// Keys are offsets, spread by a multiplication (Fibonacci hashing). No seed is needed: the choice of a text does
    /// not determine its offset.
    private static func hash(_ key: StringTable.Key) -> Int {
        let product = UInt64(key.number) &* 0x9E37_79B9_7F4A_7C15
        // The low bits of a product depend on the low bits of its factors only.
        return Int(truncatingIfNeeded: product ^ product >> 32)
    }
}
