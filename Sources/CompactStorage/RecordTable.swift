// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An element of a ``RecordTable``: fixed-size fields and keys of a ``StringTable``, nothing on the heap.
public protocol Record: Sendable {
    /// Identifies the record; never `none`, which marks a vacant position.
    var key: StringTable.Key { get set }
}

/// Records of a fixed size in one array, found by their keys.
///
/// Public and inlinable, because the compiler specialises a generic type of another module only then (Swift 6.3 keeps no
/// body of a `package` function for other modules). Every entry of a list goes through it: docs/decisions/0001.
public struct RecordTable<Element: Record>: Sendable {
    @usableFromInline var records: [Element] = []
    @usableFromInline var vacancies: [UInt32] = []
    @usableFromInline var index = NumberIndex()

    /// A table without records.
    @inlinable public init() {}

    /// How many records there are.
    @inlinable public var count: Int { index.count }

    /// The position of the record with this key, which stays the same until the record is removed.
    @inlinable public func position(of key: StringTable.Key) -> Int? {
        index.first(hash: Self.hash(key)) { records[Int($0)].key == key }.map(Int.init)
    }

    /// The positions of all records.
    @inlinable public var positions: some Sequence<Int> {
        records.indices.lazy.filter { records[$0].key != .none }
    }

    /// Whether there is a record at this position.
    @inlinable public func contains(_ position: Int) -> Bool {
        records.indices.contains(position) && records[position].key != .none
    }

    /// The record at a position. Its key must not be changed.
    @inlinable public subscript(position: Int) -> Element {
        get { records[position] }
        set { records[position] = newValue }
    }

    /// The record with this key; nil when there is none.
    @inlinable public subscript(key: StringTable.Key) -> Element? {
        position(of: key).map { records[$0] }
    }

    /// Adds a record, whose key must not be in the table yet, and returns its position.
    @discardableResult
    @inlinable public mutating func insert(_ record: Element) -> Int {
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

    /// Removes the record at a position, which a later record may take.
    @inlinable public mutating func remove(at position: Int) {
        do {
            // The copy shares the array only within this scope, so that the records below are changed in place.
            let records = records
            index.remove(UInt32(position)) { Self.hash(records[Int($0)].key) }
        }
        records[position].key = .none
        vacancies.append(UInt32(position))
    }

    /// Changes all records, their keys included. Their positions stay the same.
    @inlinable public mutating func rekey(_ change: (inout Element) -> Void) {
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
    @inlinable static func hash(_ key: StringTable.Key) -> Int {
        let product = UInt64(key.number) &* 0x9E37_79B9_7F4A_7C15
        // The low bits of a product depend on the low bits of its factors only.
        return Int(truncatingIfNeeded: product ^ product >> 32)
    }
}
