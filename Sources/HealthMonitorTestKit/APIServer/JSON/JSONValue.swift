// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A JSON document as a value: what the simulated API server stores, compares, patches and hands to tests.
///
/// Integers are kept apart from other numbers, so that none of 64 bits loses a digit.
package enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

// MARK: - Reading

extension JSONValue {
    /// The text of a string; nil for anything else.
    package var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The value of an integer; nil for anything else.
    package var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The value of a boolean; nil for anything else.
    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The elements of an array; nil for anything else.
    package var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members of an object; nil for anything else.
    package var object: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// What lies under a path of member names: `claim["metadata", "labels", "app"]`.
    ///
    /// Reading gives nil when any step is missing or is no object. Writing makes the objects on the way; writing nil
    /// removes the last member and makes nothing.
    package subscript(path: String...) -> JSONValue? {
        get { value(at: path[...]) }
        set { set(newValue, at: path[...]) }
    }

    /// The same, for a path that is not known beforehand.
    package subscript(path path: [String]) -> JSONValue? {
        get { value(at: path[...]) }
        set { set(newValue, at: path[...]) }
    }

    private func value(at path: ArraySlice<String>) -> JSONValue? {
        guard let first = path.first else { return self }
        guard case .object(let members) = self else { return nil }
        return members[first]?.value(at: path.dropFirst())
    }

    private mutating func set(_ value: JSONValue?, at path: ArraySlice<String>) {
        guard let first = path.first else {
            self = value ?? .null
            return
        }
        var members = object ?? [:]
        if path.count == 1 {
            members[first] = value
        } else if value != nil || members[first]?.object != nil {
            var member = members[first] ?? .object([:])
            members[first] = nil  // so that `member` is the only owner and is changed in place
            member.set(value, at: path.dropFirst())
            members[first] = member
        }
        self = .object(members)
    }
}

// MARK: - Literals; null has none, lest `nil` mean two things where a member is removed

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A string.
    package init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    package init(integerLiteral value: Int64) { self = .integer(value) }
    /// A boolean.
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An array.
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object; of two members with one name the last counts.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}
