// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import ProtobufWire
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// The bytes of `VolumeNodeAffinity`, encoded with the field numbers of `k8s.io/api/core/v1/generated.proto`.
@Suite struct NodeSelectorWireTests {
    private func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        precondition(content.count < 0x80)
        return [number << 3 | 2, UInt8(content.count)] + content
    }

    private func field(_ number: UInt8, _ text: String) -> [UInt8] {
        field(number, Array(text.utf8))
    }

    private func required(_ bytes: [UInt8]) throws -> NodeSelector? {
        try NodeSelector.required(nodeAffinity: bytes.span)
    }

    @Test func `a selector is decoded`() throws {
        let zone = field(1, "zone") + field(2, "In") + field(3, "a") + field(3, "") + field(3, "b")
        let name = field(1, "metadata.name") + field(2, "NotIn") + field(3, "n1")
        let gpu = field(1, "gpu") + field(2, "Exists")
        let unknown: [UInt8] = [0x78, 1]
        let terms = field(1, field(1, zone) + field(2, name) + unknown) + field(1, field(1, gpu)) + field(1, [])
        #expect(
            try required(field(1, terms) + unknown)
                == NodeSelector(terms: [
                    NodeSelectorTerm(
                        matchExpressions: [.init(key: "zone", operator: "In", values: ["a", "", "b"])],
                        matchFields: [.init(key: "metadata.name", operator: "NotIn", values: ["n1"])]
                    ),
                    NodeSelectorTerm(matchExpressions: [.init(key: "gpu", operator: "Exists")]),
                    NodeSelectorTerm(),
                ])
        )
    }

    @Test func `an affinity without a selector differs from a selector without terms`() throws {
        #expect(try required([]) == nil)
        #expect(try required(field(1, [])) == NodeSelector())
    }

    @Test func `a field of another wire type is ignored`() throws {
        #expect(try required([0x08, 1]) == nil)
        let requirement: [UInt8] = field(1, "gpu") + [0x18, 1] + field(2, "Exists")
        #expect(
            try required(field(1, field(1, [0x10, 1] + field(1, requirement))))
                == NodeSelector(terms: [
                    NodeSelectorTerm(matchExpressions: [.init(key: "gpu", operator: "Exists")])
                ])
        )
    }

    @Test func `truncated bytes and texts that are not UTF-8 are refused`() {
        let requirement = field(1, "gpu") + field(2, "Exists")
        let whole = field(1, field(1, field(1, requirement)))
        for length in 1..<whole.count {
            #expect(throws: WireFormatError.self) { try required(Array(whole.prefix(length))) }
        }
        #expect(throws: WireFormatError.self) { try required(field(1, field(1, field(1, field(3, [0xFF]))))) }
    }
}
