// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The `labelSelector` of a list or a watch: `app=db,tier!=cache,env in (a, b),!legacy`.
///
/// Source: k8s.io/apimachinery, pkg/labels, `Parse`, without `>` and `<`.
struct LabelSelector: Sendable, Hashable {
    private enum Requirement: Sendable, Hashable {
        case exists(String)
        case isMissing(String)
        case isIn(String, Set<String>)
        /// Also without the label.
        case isNotIn(String, Set<String>)
    }

    /// The text is no selector.
    struct Invalid: Error, CustomStringConvertible {
        var description: String
    }

    private var requirements: [Requirement] = []

    init(_ text: String) throws(Invalid) {
        for term in try Self.terms(text) { requirements.append(try Self.requirement(term)) }
    }

    func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .exists(let key): labels[key] != nil
            case .isMissing(let key): labels[key] == nil
            case .isIn(let key, let values): labels[key].map(values.contains) ?? false
            case .isNotIn(let key, let values): !(labels[key].map(values.contains) ?? false)
            }
        }
    }

    /// Splits at commas outside of parentheses.
    private static func terms(_ text: String) throws(Invalid) -> [Substring] {
        var terms: [Substring] = []
        var start = text.startIndex
        var isInSet = false
        for index in text.indices {
            switch text[index] {
            case "(" where !isInSet: isInSet = true
            case ")" where isInSet: isInSet = false
            case "(", ")": throw Invalid(description: "unbalanced parentheses in \"\(text)\"")
            case "," where !isInSet:
                terms.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        guard !isInSet else { throw Invalid(description: "unbalanced parentheses in \"\(text)\"") }
        return terms + [text[start...]]
    }

    private static func requirement(_ term: Substring) throws(Invalid) -> Requirement {
        let invalid = Invalid(description: "\"\(term)\": write KEY, !KEY, KEY=VALUE, KEY!=VALUE or KEY in (A,B)")
        let text = trimmed(term)
        if let open = text.firstIndex(of: "(") {
            let words = text[..<open].split(separator: " ")
            guard words.count == 2, text.hasSuffix(")") else { throw invalid }
            let list = text[text.index(after: open)...].dropLast()
            let values = Set(list.split(separator: ",", omittingEmptySubsequences: false).map { String(trimmed($0)) })
            switch words[1] {
            case "in": return .isIn(String(words[0]), values)
            case "notin": return .isNotIn(String(words[0]), values)
            default: throw invalid
            }
        }
        let parts: (key: Substring, value: Substring)?
        var isEqual = true
        if let sign = text.firstRange(of: "!=") {
            (parts, isEqual) = ((text[..<sign.lowerBound], text[sign.upperBound...]), false)
        } else if let sign = text.firstRange(of: "==") ?? text.firstRange(of: "=") {
            parts = (text[..<sign.lowerBound], text[sign.upperBound...])
        } else {
            parts = nil
        }
        let isMissing = parts == nil && text.hasPrefix("!")
        let key = String(trimmed(parts?.key ?? (isMissing ? text.dropFirst() : text)))
        guard !key.isEmpty, !key.contains(where: { " !=".contains($0) }) else { throw invalid }
        guard let parts else { return isMissing ? .isMissing(key) : .exists(key) }
        let value = String(trimmed(parts.value))
        guard !value.contains(where: { " !=".contains($0) }) else { throw invalid }
        return isEqual ? .isIn(key, [value]) : .isNotIn(key, [value])
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop { $0 == " " }
        return start.lastIndex { $0 != " " }.map { start[...$0] } ?? start[..<start.startIndex]
    }
}
