// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A value to print as JSON or YAML.
package enum StructuredText: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case text(String)
    case list([StructuredText])
    /// In this order.
    case object([Member])

    package struct Member: Sendable, Hashable {
        var name: String
        var value: StructuredText
    }

    /// An object without the members that are nil.
    package static func members(_ members: KeyValuePairs<String, StructuredText?>) -> StructuredText {
        .object(members.compactMap { name, value in value.map { Member(name: name, value: $0) } })
    }
}

extension StructuredText {
    /// On one line.
    package var compactJSON: String { json(indentation: nil) }

    /// Indented by four spaces, as kubectl prints.
    package var json: String { json(indentation: 0) }

    private func json(indentation: Int?) -> String {
        let inner = indentation.map { $0 + 4 }
        let separator = inner.map { ",\n" + String(repeating: " ", count: $0) } ?? ","
        let begin = inner.map { "\n" + String(repeating: " ", count: $0) } ?? ""
        let end = indentation.map { "\n" + String(repeating: " ", count: $0) } ?? ""
        let colon = indentation == nil ? ":" : ": "
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .text(let text): return Self.quoted(text)
        case .list(let values):
            guard !values.isEmpty else { return "[]" }
            return "[\(begin)" + values.map { $0.json(indentation: inner) }.joined(separator: separator) + "\(end)]"
        case .object(let members):
            guard !members.isEmpty else { return "{}" }
            let texts = members.map { Self.quoted($0.name) + colon + $0.value.json(indentation: inner) }
            return "{\(begin)" + texts.joined(separator: separator) + "\(end)}"
        }
    }

    /// A block for each list and object. Texts are quoted as in JSON, which YAML contains, so that no text is read as
    /// another type.
    package var yaml: String { yamlLines().joined(separator: "\n") + "\n" }

    private func yamlLines() -> [String] {
        switch self {
        case .list(let values) where !values.isEmpty:
            return values.flatMap { value in
                let lines = value.yamlLines()
                return zip(lines.indices, lines).map { $0 == 0 ? "- \($1)" : "  \($1)" }
            }
        case .object(let members) where !members.isEmpty:
            return members.flatMap { member in
                let lines = member.value.yamlLines()
                guard member.value.isBlock else { return ["\(member.name): \(lines[0])"] }
                let indentation = if case .list = member.value { "" } else { "  " }
                return ["\(member.name):"] + lines.map { indentation + $0 }
            }
        default: return [compactJSON]
        }
    }

    private var isBlock: Bool {
        switch self {
        case .list(let values): !values.isEmpty
        case .object(let members): !members.isEmpty
        default: false
        }
    }

    /// Escapes what JSON requires, and the control and line-breaking characters that YAML does not allow as they are.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case ..<" ", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}", "\u{FEFF}", "\u{FFFE}", "\u{FFFF}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
