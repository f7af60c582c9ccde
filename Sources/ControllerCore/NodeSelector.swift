// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which nodes may use a PersistentVolume: `spec.nodeAffinity.required`.
///
/// Source: `k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go` and, for requirements on labels,
/// `k8s.io/apimachinery/pkg/labels/selector.go`. Unlike these, it does not check the syntax of keys and values: the API
/// server has validated it, and no label has an invalid syntax.
package struct NodeSelector: Sendable, Hashable {
    /// One of the terms must match; without terms, no node is admitted.
    package var terms: [NodeSelectorTerm]

    package init(terms: [NodeSelectorTerm] = []) {
        self.terms = terms
    }

    /// Whether a node with this name and these labels is admitted. An invalid term does not match.
    package func admits(name: String, labels: [String: String]) -> Bool {
        terms.contains { $0.matches(name: name, labels: labels) }
    }

    /// Whether no requirement names this node by `In`. The node's labels are not known, so any value counts as the name of a
    /// node: drivers that know only their node's volumes use it as the value of their topology (csi-driver-host-path,
    /// `topology.hostpath.csi/node`; topolvm, `topology.topolvm.io/node`; linstor, `linbit.com/hostname`). The values
    /// of zones are not node names, so every volume of a zone counts as one of another node.
    package func namesOtherNode(than name: String) -> Bool {
        !terms.contains { term in
            (term.matchExpressions + term.matchFields).contains { $0.operator == "In" && $0.values.contains(name) }
        }
    }
}

/// Requirements that must all be met; without any, no node matches.
package struct NodeSelectorTerm: Sendable, Hashable {
    /// Requirements on the node's labels.
    package var matchExpressions: [NodeSelectorRequirement]
    /// Requirements on the node's fields; the only one is `metadata.name`.
    package var matchFields: [NodeSelectorRequirement]

    package init(matchExpressions: [NodeSelectorRequirement] = [], matchFields: [NodeSelectorRequirement] = []) {
        self.matchExpressions = matchExpressions
        self.matchFields = matchFields
    }

    fileprivate func matches(name: String, labels: [String: String]) -> Bool {
        guard !matchExpressions.isEmpty || !matchFields.isEmpty else { return false }
        return matchExpressions.allSatisfy { $0.matches(label: labels[$0.key]) }
            && matchFields.allSatisfy { $0.matches(nodeName: name) }
    }
}

/// A requirement on a label or a field.
package struct NodeSelectorRequirement: Sendable, Hashable {
    /// The key of the label or the name of the field.
    package var key: String
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`; any other is invalid.
    package var `operator`: String
    /// At least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`, one integer for `Gt` and `Lt`; exactly
    /// one for a field.
    package var values: [String]

    package init(key: String = "", operator: String = "", values: [String] = []) {
        self.key = key
        self.operator = `operator`
        self.values = values
    }

    /// Whether the value of the label meets the requirement; nil: the node does not have the label.
    fileprivate func matches(label: String?) -> Bool {
        switch `operator` {
        case "In":
            guard let label else { return false }
            return contains(label)
        case "NotIn":
            guard !values.isEmpty else { return false }
            guard let label else { return true }
            return !contains(label)
        case "Exists": return values.isEmpty && label != nil
        case "DoesNotExist": return values.isEmpty && label == nil
        case "Gt": return compares(label, by: >)
        case "Lt": return compares(label, by: <)
        default: return false
        }
    }

    /// Whether the node's name meets the requirement. Any field but `metadata.name` is compared as empty, as in the
    /// source.
    fileprivate func matches(nodeName: String) -> Bool {
        guard values.count == 1 else { return false }
        let field = key == "metadata.name" ? nodeName : ""
        return switch `operator` {
        case "In": contains(field)
        case "NotIn": !contains(field)
        default: false
        }
    }

    /// Compares bytes, as Go does; Swift's `==` compares canonical equivalence.
    private func contains(_ value: String) -> Bool {
        values.contains { $0.utf8.elementsEqual(value.utf8) }
    }

    /// `Int64.init` accepts the same texts as Go's `strconv.ParseInt` in base 10: a sign and digits.
    private func compares(_ label: String?, by holds: (Int64, Int64) -> Bool) -> Bool {
        guard values.count == 1, let limit = Int64(values[0]), let label, let value = Int64(label) else { return false }
        return holds(value, limit)
    }
}
