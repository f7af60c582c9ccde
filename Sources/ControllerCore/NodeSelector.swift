// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which nodes may use a PersistentVolume: `spec.nodeAffinity.required`.
///
/// Source: `k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go` and, for requirements on labels,
/// `k8s.io/apimachinery/pkg/labels/selector.go`. The syntax of keys and values, which they check too, is not checked
/// here: the API server has done so, and a label of another syntax does not exist.
package struct NodeSelector: Sendable, Hashable {
    /// One of them must match; without any, no node is admitted.
    package var terms: [NodeSelectorTerm]

    /// A selector of these terms.
    package init(terms: [NodeSelectorTerm] = []) {
        self.terms = terms
    }

    /// Whether the node of this name and these labels is admitted. An invalid term does not match.
    package func admits(name: String, labels: [String: String]) -> Bool {
        terms.contains { $0.matches(name: name, labels: labels) }
    }

    /// Whether it names nodes, and not this one. For lack of the node's labels any value counts as the name of a node: the
    /// topologies of drivers that know only their node's volumes have it as their value (csi-driver-host-path,
    /// `topology.hostpath.csi/node`; topolvm, `topology.topolvm.io/node`; linstor, `linbit.com/hostname`). Zones do not, so
    /// that every volume of a zone is of another node, ours too.
    package func namesOtherNode(than name: String) -> Bool {
        !terms.contains { term in
            (term.matchExpressions + term.matchFields).contains { $0.operator == "In" && $0.values.contains(name) }
        }
    }
}

/// Requirements that must all hold; without any, no node matches.
package struct NodeSelectorTerm: Sendable, Hashable {
    /// On the node's labels.
    package var matchExpressions: [NodeSelectorRequirement]
    /// On the node's fields, of which there is `metadata.name`.
    package var matchFields: [NodeSelectorRequirement]

    /// A term of these requirements.
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

/// What a label or a field must be.
package struct NodeSelectorRequirement: Sendable, Hashable {
    /// The label's key or the field's name.
    package var key: String
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`; any other is invalid.
    package var `operator`: String
    /// At least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`, one integer for `Gt` and `Lt`; one for a
    /// field.
    package var values: [String]

    /// A requirement, valid or not.
    package init(key: String = "", operator: String = "", values: [String] = []) {
        self.key = key
        self.operator = `operator`
        self.values = values
    }

    /// Whether the value of the label is as required; nil where the node does not have the label.
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

    /// Whether the name is as required. A field other than the name is empty; the reference matches no field at all where
    /// a node has no name, which does not happen.
    fileprivate func matches(nodeName: String) -> Bool {
        guard values.count == 1 else { return false }
        let field = key == "metadata.name" ? nodeName : ""
        return switch `operator` {
        case "In": contains(field)
        case "NotIn": !contains(field)
        default: false
        }
    }

    /// By bytes, as Go compares; `==` of Swift takes canonically equivalent texts for equal.
    private func contains(_ value: String) -> Bool {
        values.contains { $0.utf8.elementsEqual(value.utf8) }
    }

    /// `Int64.init` accepts what Go's `strconv.ParseInt` does in base 10: a sign, digits, and nothing else.
    private func compares(_ label: String?, by holds: (Int64, Int64) -> Bool) -> Bool {
        guard values.count == 1, let limit = Int64(values[0]), let label, let value = Int64(label) else { return false }
        return holds(value, limit)
    }
}
