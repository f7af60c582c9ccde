// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A JSON merge patch: it sets the named members, removes those that are null, and keeps all others.
///
/// ```swift
/// let patch: MergePatch = ["metadata": ["resourceVersion": .string(version)], "count": 2, "series": nil]
/// ```
///
/// `metadata.resourceVersion` and `metadata.uid` in a patch are preconditions: the server responds with 409 to a stale
/// version and with 422 to another uid. Source: [RFC 7396](https://www.rfc-editor.org/rfc/rfc7396); observed on
/// kube-apiserver 1.36.
package struct MergePatch: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    package enum Value: Sendable, Hashable {
        case null
        case bool(Bool)
        case integer(Int64)
        case string(String)
        case array([Value])
        case object(MergePatch)
    }

    fileprivate struct Member: Sendable, Hashable {
        var name: String
        var value: Value
    }

    private var members: [Member]

    /// The members keep their order.
    package init(dictionaryLiteral elements: (String, Value)...) {
        self.init(elements)
    }

    /// The members keep their order.
    package init(_ elements: [(String, Value)]) {
        members = elements.map { Member(name: $0.0, value: $0.1) }
    }

    /// The patch as JSON, encoded in UTF-8.
    package var json: [UInt8] {
        var text = ""
        Value.object(self).write(to: &text)
        return Array(text.utf8)
    }

    fileprivate func write(to text: inout String) {
        text.append("{")
        for (index, member) in members.enumerated() {
            if index > 0 { text.append(",") }
            Value.string(member.name).write(to: &text)
            text.append(":")
            member.value.write(to: &text)
        }
        text.append("}")
    }
}

extension MergePatch.Value {
    fileprivate func write(to text: inout String) {
        switch self {
        case .null: text.append("null")
        case .bool(let value): text.append(value ? "true" : "false")
        case .integer(let value): text.append(String(value))
        case .string(let value): Self.write(string: value, to: &text)
        case .object(let value): value.write(to: &text)
        case .array(let values):
            text.append("[")
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(",") }
                value.write(to: &text)
            }
            text.append("]")
        }
    }

    /// RFC 8259: quotation mark, backslash and control characters below U+0020 must be escaped, and nothing else.
    private static func write(string: String, to text: inout String) {
        text.append("\"")
        defer { text.append("\"") }
        let isPlain = string.utf8.allSatisfy {
            $0 >= UInt8(ascii: " ") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        guard !isPlain else { return text.append(string) }
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                text.append("\\")
                text.unicodeScalars.append(scalar)
            case ..<" ":
                let digits = String(scalar.value, radix: 16)
                text.append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}

extension MergePatch.Value: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByStringLiteral, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: MergePatch.Value...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, MergePatch.Value)...) {
        self = .object(MergePatch(elements))
    }
}
