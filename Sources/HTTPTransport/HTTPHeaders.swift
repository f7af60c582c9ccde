// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Header fields in their order; names are compared without regard to case.
public struct HTTPHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// One field.
    public struct Field: Sendable, Hashable {
        /// As it was given or received; HTTP/2 has lower-case names only.
        public var name: String
        /// Without white space around it.
        public var value: String
    }

    /// All fields, repeated ones one by one.
    public private(set) var fields: [Field] = []

    /// No fields.
    public init() {}

    /// These fields, in this order.
    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { Field(name: $0.0, value: $0.1) }
    }

    /// Adds a field, even where there is one of this name.
    public mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// The value of the first field of this name. Setting replaces all of them; nil removes them.
    public subscript(name: String) -> String? {
        get {
            let key = name.lowercased()
            return fields.first { $0.name.lowercased() == key }?.value
        }
        set {
            let key = name.lowercased()
            fields.removeAll { $0.name.lowercased() == key }
            if let newValue { add(name, newValue) }
        }
    }
}
