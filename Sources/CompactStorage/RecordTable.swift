// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a ``RecordTable`` holds: numbers and keys of a ``StringTable``, nothing on the heap.
package protocol Record: Sendable {
    /// By which it is found; never `none`, which marks a vacancy.
    var key: StringTable.Key { get set }
}

/// Records of a fixed size, one behind the other, and found by their keys.
package struct RecordTable<Element: Record>: Sendable {
    private var records: [Element] = []
    private var vacancies: [UInt32] = []
    private var index = NumberIndex()

    package init() {}

    package var count: Int { index.count }

    /// Where the record with this key is, until it is removed.
    package func position(of key: StringTable.Key) -> Int? {
        index.first(hash: Self.hash(key)) { records[Int($0)].key == key }.map(Int.init)
    }

    /// Positions of all records.
    package var positions: some Sequence<Int> {
        records.indices.lazy.filter { records[$0].key != .none }
    }

    /// Whether a record is at this position.
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

    /// Adds a record whose key is not there, and returns its position.
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
            // A second owner only here: after it, the records are changed in place.
            let records = records
            index.remove(UInt32(position)) { Self.hash(records[Int($0)].key) }
        }
        records[position].key = .none
        vacancies.append(UInt32(position))
    }

    /// Changes the records one by one, also their keys. They stay where they are.
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

    /// Keys are offsets, which are spread by a multiplication (Fibonacci hashing). Who chose a text has no say in where
    /// it stands.
    private static func hash(_ key: StringTable.Key) -> Int {
        let product = UInt64(key.number) &* 0x9E37_79B9_7F4A_7C15
        // Low bits of a product depend on low bits only.
        return Int(truncatingIfNeeded: product ^ product >> 32)
    }
}
