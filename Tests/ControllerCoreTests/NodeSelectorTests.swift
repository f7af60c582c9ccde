// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import Testing

/// The cases restate `k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity_test.go`
/// (TestNodeSelectorMatch, TestPodMatchesNodeSelectorAndAffinityTerms, TestNodeSelectorRequirementsAsSelector) and
/// `k8s.io/apimachinery/pkg/labels/selector.go`.
@Suite struct NodeSelectorTests {
    @Test func `a selector that does not admit this node by name names another node`() {
        func selector(_ operator: String, _ values: String...) -> NodeSelector {
            let requirement = NodeSelectorRequirement(
                key: "topology.hostpath.csi/node",
                operator: `operator`,
                values: values
            )
            return NodeSelector(terms: [NodeSelectorTerm(matchExpressions: [requirement])])
        }
        #expect(!selector("In", "node-b", "node-a").namesOtherNode(than: "node-a"))
        #expect(selector("In", "node-b").namesOtherNode(than: "node-a"))
        #expect(selector("NotIn", "node-a").namesOtherNode(than: "node-a"))
        let field = NodeSelectorRequirement(key: "metadata.name", operator: "In", values: ["node-a"])
        #expect(!NodeSelector(terms: [NodeSelectorTerm(matchFields: [field])]).namesOtherNode(than: "node-a"))
    }

    private typealias Requirement = NodeSelectorRequirement

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let requirement: NodeSelectorRequirement
        let label: String?
        let matches: Bool

        init(_ `operator`: String, _ values: [String], label: String?, matches: Bool) {
            testDescription = "\(label ?? "absent") \(`operator`) \(values)"
            requirement = NodeSelectorRequirement(key: "foo", operator: `operator`, values: values)
            self.label = label
            self.matches = matches
        }
    }

    static let labelCases = [
        Case("In", ["bar", "value2"], label: "bar", matches: true),
        Case("In", ["value1", "value2"], label: "bar", matches: false),
        Case("In", ["bar"], label: nil, matches: false),
        Case("In", [""], label: "", matches: true),
        Case("In", [], label: "bar", matches: false),
        Case("NotIn", ["DDR", "DDR2"], label: "DDR3", matches: true),
        Case("NotIn", ["DDR", "DDR2"], label: "DDR", matches: false),
        Case("NotIn", ["DDR"], label: nil, matches: true),
        Case("NotIn", [], label: "DDR", matches: false),
        Case("NotIn", [], label: nil, matches: false),
        Case("Exists", [], label: "NVIDIA-GRID-K1", matches: true),
        Case("Exists", [], label: "", matches: true),
        Case("Exists", [], label: nil, matches: false),
        Case("Exists", ["bar", "baz"], label: "bar", matches: false),
        Case("DoesNotExist", [], label: nil, matches: true),
        Case("DoesNotExist", [], label: "bar", matches: false),
        Case("DoesNotExist", ["bar"], label: nil, matches: false),
        Case("Gt", ["0204"], label: "0206", matches: true),
        Case("Gt", ["0206"], label: "0206", matches: false),
        Case("Gt", ["-2"], label: "+1", matches: true),
        Case("Gt", ["1"], label: nil, matches: false),
        Case("Gt", ["1"], label: "bar", matches: false),
        Case("Gt", ["1"], label: "0x10", matches: false),
        Case("Gt", ["1"], label: "1_0", matches: false),
        Case("Gt", ["1"], label: " 2", matches: false),
        Case("Gt", ["1"], label: "2.5", matches: false),
        Case("Gt", ["1"], label: "", matches: false),
        Case("Gt", ["bar"], label: "2", matches: false),
        Case("Gt", ["1", "2"], label: "3", matches: false),
        Case("Gt", [], label: "3", matches: false),
        Case("Gt", ["9223372036854775806"], label: "9223372036854775807", matches: true),
        Case("Gt", ["1"], label: "9223372036854775808", matches: false),
        Case("Lt", ["7"], label: "6", matches: true),
        Case("Lt", ["7"], label: "7", matches: false),
        Case("Lt", ["7"], label: nil, matches: false),
        Case("Lt", ["7"], label: "-9223372036854775808", matches: true),
        Case("in", ["bar"], label: "bar", matches: false),
        Case("", [], label: "bar", matches: false),
    ]

    @Test(arguments: labelCases)
    func `a requirement on a label matches as in Kubernetes`(_ entry: Case) {
        let selector = NodeSelector(terms: [NodeSelectorTerm(matchExpressions: [entry.requirement])])
        var labels = ["other": "bar"]
        labels["foo"] = entry.label
        #expect(selector.admits(name: "host_1", labels: labels) == entry.matches)
    }

    static let fieldCases: [(requirement: NodeSelectorRequirement, matches: Bool)] = [
        (.init(key: "metadata.name", operator: "In", values: ["host_1"]), true),
        (.init(key: "metadata.name", operator: "In", values: ["host_2"]), false),
        (.init(key: "metadata.name", operator: "In", values: ["host_1", "host_2"]), false),
        (.init(key: "metadata.name", operator: "In", values: []), false),
        (.init(key: "metadata.name", operator: "NotIn", values: ["host_2"]), true),
        (.init(key: "metadata.name", operator: "NotIn", values: ["host_1"]), false),
        (.init(key: "metadata.name", operator: "NotIn", values: ["host_2", "host_3"]), false),
        (.init(key: "metadata.name", operator: "Exists", values: []), false),
        (.init(key: "metadata.name", operator: "Gt", values: ["1"]), false),
        (.init(key: "metadata.namespace", operator: "In", values: ["host_1"]), false),
    ]

    @Test(arguments: fieldCases)
    func `a requirement on the node's name matches as in Kubernetes`(
        _ requirement: NodeSelectorRequirement,
        matches: Bool
    ) {
        let selector = NodeSelector(terms: [NodeSelectorTerm(matchFields: [requirement])])
        #expect(selector.admits(name: "host_1", labels: [:]) == matches)
    }

    @Test func `a selector without terms and an empty term admit no node`() {
        #expect(!NodeSelector().admits(name: "host_1", labels: ["foo": "bar"]))
        #expect(!NodeSelector(terms: [NodeSelectorTerm()]).admits(name: "host_1", labels: ["foo": "bar"]))
    }

    @Test func `all requirements of a term must hold`() {
        let name = Requirement(key: "metadata.name", operator: "In", values: ["host_1"])
        let label = Requirement(key: "label_1", operator: "In", values: ["label_1_val"])
        let both = NodeSelector(terms: [NodeSelectorTerm(matchExpressions: [label], matchFields: [name])])
        #expect(both.admits(name: "host_1", labels: ["label_1": "label_1_val"]))
        #expect(!both.admits(name: "host_1", labels: [:]))
        #expect(!both.admits(name: "host_2", labels: ["label_1": "label_1_val"]))

        let expressions = NodeSelector(
            terms: [
                NodeSelectorTerm(matchExpressions: [
                    Requirement(key: "GPU", operator: "Exists"),
                    Requirement(key: "GPU", operator: "NotIn", values: ["AMD", "INTER"]),
                ])
            ]
        )
        #expect(expressions.admits(name: "host_1", labels: ["GPU": "NVIDIA-GRID-K1"]))
        #expect(!expressions.admits(name: "host_1", labels: ["GPU": "AMD"]))
    }

    @Test func `one matching term is enough, whatever the others are`() {
        let second = NodeSelectorTerm(
            matchFields: [Requirement(key: "metadata.name", operator: "In", values: ["host_1"])]
        )
        let others = [
            NodeSelectorTerm(),
            NodeSelectorTerm(matchExpressions: [Requirement(key: "foo", operator: "In", values: ["bar"])]),
            NodeSelectorTerm(matchExpressions: [Requirement(key: "foo", operator: "Unknown")]),
        ]
        for other in others {
            #expect(NodeSelector(terms: [other, second]).admits(name: "host_1", labels: [:]))
            #expect(!NodeSelector(terms: [other, second]).admits(name: "host_2", labels: [:]))
        }
    }
}
