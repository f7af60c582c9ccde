// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthCore
import HealthMonitorTestKit
import Testing

@testable import VolumeStatus

@Suite struct StructuredTextTests {
    private static let value = StructuredText.members([
        "name": .text("a\"\\\n\u{1B}é"), "absent": nil, "none": .null, "yes": .bool(true), "empty": .list([]),
        "list": .list([.integer(-1), .members(["b": .text("no"), "c": .list([.text("d")])])]),
        "object": .members(["e": .members([:])]),
    ])

    @Test func `JSON is indented as by kubectl, or on one line`() {
        #expect(
            Self.value.json == #"""
                {
                    "name": "a\"\\\n\u001bé",
                    "none": null,
                    "yes": true,
                    "empty": [],
                    "list": [
                        -1,
                        {
                            "b": "no",
                            "c": [
                                "d"
                            ]
                        }
                    ],
                    "object": {
                        "e": {}
                    }
                }
                """#
        )
        #expect(
            Self.value.compactJSON
                == #"{"name":"a\"\\\n\u001bé","none":null,"yes":true,"empty":[],"list":[-1,{"b":"no","c":["d"]}],"object":{"e":{}}}"#
        )
    }

    @Test func `YAML quotes every text`() {
        #expect(
            Self.value.yaml == #"""
                name: "a\"\\\n\u001bé"
                none: null
                yes: true
                empty: []
                list:
                - -1
                - b: "no"
                  c:
                  - "d"
                object:
                  e: {}

                """#
        )
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `any text survives JSON`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let ranges: [ClosedRange<UInt32>] = [0...0x20, 0x20...0x7F, 0x80...0xA0, 0x2020...0x2030, 0x1F600...0x1F610]
        let scalars = (0..<20).compactMap { _ in
            ranges.randomElement(using: &random).flatMap { Unicode.Scalar(UInt32.random(in: $0, using: &random)) }
        }
        let text = String(String.UnicodeScalarView(scalars))
        let json = StructuredText.list([.text(text)]).compactJSON
        #expect(try JSONDecoder().decode([String].self, from: Data(json.utf8)) == [text])
    }

    @Test func `a row has what is known`() {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.healthConditions = [condition(.dataLoss, "BadBlocks", "7 blocks")]
            claim.healthTransition = 9000
        }
        scene.pod("web", claims: ["a"])
        #expect(
            scene.row("a")?.structured.compactJSON == """
                {"namespace":"default","name":"a","status":"DataLoss","reason":"BadBlocks","message":"7 blocks",\
                "since":"1970-01-01T02:30:00Z","driver":"d.example","volume":"pv-a","pods":["web"],"nodes":["node-1"],\
                "source":"healthStatus","conditions":[{"status":"DataLoss","reason":"BadBlocks","message":"7 blocks"}]}
                """
        )
        scene.snapshot.pods = nil
        scene.snapshot.volumes = nil
        let row = scene.row("a")?.structured.compactJSON ?? ""
        #expect(!row.contains("\"pods\"") && !row.contains("\"driver\""))
    }
}
