// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A JSON value: the form in which the simulated API server compares, patches and returns objects.
///
/// Integers are distinguished from other numbers, so that 64-bit integers stay exact.
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

    /// The value under a path of member names: `claim["metadata", "labels", "app"]`.
    ///
    /// Reading returns nil when any step is missing or is not an object. Writing creates the objects on the way;
    /// writing nil removes the last member and creates nothing.
    package subscript(path: String...) -> JSONValue? {
        get { value(at: path[...]) }
        set { set(newValue, at: path[...]) }
    }

    /// The same, for a path in an array.
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
            members[first] = nil  // `member` is now the only reference and is changed in place
            member.set(value, at: path.dropFirst())
            members[first] = member
        }
        self = .object(members)
    }
}

// MARK: - Literals; not null, because assigning `nil` removes a member

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// Of two members with the same name the last counts.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}
