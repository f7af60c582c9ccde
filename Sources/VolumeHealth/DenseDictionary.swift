// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A dictionary of large values: they stand one behind the other, in no order, and only four bytes of each in the slots of
/// a hash table, a quarter to five eighths of which are always vacant.
struct DenseDictionary<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    struct Element: Sendable {
        var value: Value
        /// Behind the value, where it fits into what alignment would leave empty.
        let key: Key
    }

    /// In no order that means anything.
    private(set) var elements: [Element] = []
    private var positions: [Key: UInt32] = [:]

    var isEmpty: Bool { elements.isEmpty }

    var count: Int { elements.count }

    var keys: some Collection<Key> { elements.lazy.map(\.key) }

    var values: some Collection<Value> { elements.lazy.map(\.value) }

    func contains(_ key: Key) -> Bool { positions[key] != nil }

    subscript(key: Key) -> Value? {
        get { positions[key].map { elements[Int($0)].value } }
        set {
            switch (positions[key], newValue) {
            case (let position?, let value?): elements[Int(position)].value = value
            case (nil, let value?):
                positions[key] = UInt32(elements.count)
                elements.append(Element(value: value, key: key))
            case (let position?, nil): remove(key, at: Int(position))
            case (nil, nil): break
            }
        }
    }

    private mutating func remove(_ key: Key, at position: Int) {
        positions[key] = nil
        let last = elements.removeLast()
        if position < elements.count {
            elements[position] = last
            positions[last.key] = UInt32(position)
        }
        if elements.isEmpty { self = DenseDictionary() }
    }
}
