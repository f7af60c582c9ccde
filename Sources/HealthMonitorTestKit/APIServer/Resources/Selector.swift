// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The `fieldSelector`, by equality, and the `labelSelector` of a list or a watch.
struct Selector: Sendable {
    private struct Requirement: Sendable {
        /// Of several paths, the first that is not empty counts.
        let paths: [[String]]
        let value: String
        let isEqual: Bool

        func matches(_ object: JSONValue) -> Bool {
            let found = paths.lazy.compactMap { object[path: $0]?.string }.first { !$0.isEmpty }
            return ((found ?? "") == value) == isEqual
        }
    }

    private var requirements: [Requirement] = []
    private var labels: LabelSelector?

    static let everything = Selector()

    private init() {}

    /// Whether it selects everything.
    var isEmpty: Bool { requirements.isEmpty && labels == nil }

    /// - Throws: `StatusError` 400 for a field that the type cannot select by, and for other selectors.
    init(_ type: ResourceType, fields: String?, labels: String?) throws(StatusError) {
        for (name, value, isEqual) in try Self.split(fields ?? "") {
            let paths: [[String]]
            switch name {
            case "metadata.name": paths = [["metadata", "name"]]
            case "metadata.namespace" where type.isNamespaced: paths = [["metadata", "namespace"]]
            default:
                guard let found = type.selectableFields[name] else {
                    throw .badRequest(
                        "Unable to find \"\(type.apiVersion), Resource=\(type.plural)\" that match field selector "
                            + "\"\(fields ?? "")\": field label not supported: \(name)"
                    )
                }
                paths = found
            }
            requirements.append(Requirement(paths: paths, value: value, isEqual: isEqual))
        }
        guard let labels, !labels.isEmpty else { return }
        do throws(LabelSelector.Invalid) {
            self.labels = try LabelSelector(labels)
        } catch {
            throw .badRequest("unable to parse requirement: \(error)")
        }
    }

    func matches(_ object: JSONValue) -> Bool {
        guard requirements.allSatisfy({ $0.matches(object) }) else { return false }
        return labels?.matches(object["metadata", "labels"]?.object?.compactMapValues(\.string) ?? [:]) ?? true
    }

    /// `a=b,c==d,e!=f`
    private static func split(_ text: String) throws(StatusError) -> [(name: String, value: String, isEqual: Bool)] {
        var terms: [(String, String, Bool)] = []
        for term in text.split(separator: ",") {
            guard let sign = term.firstIndex(of: "=") else {
                throw .badRequest("the simulated server supports selectors with =, == and != only, not \"\(term)\"")
            }
            let left = term[..<sign]
            let right = term[term.index(after: sign)...]
            let isEqual = !left.hasSuffix("!")
            terms.append((String(isEqual ? left : left.dropLast()), String(right.trimmingPrefix("=")), isEqual))
        }
        return terms
    }
}
