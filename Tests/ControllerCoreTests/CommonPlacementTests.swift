// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// What is named as common to the unhealthy volumes.
@Suite struct CommonPlacementTests {
    private typealias Volume = (placement: VolumePlacement, isUnhealthy: Bool)

    private static func placed(_ storageClass: String, _ segments: [String: String] = [:]) -> VolumePlacement {
        VolumePlacement(
            storageClass: storageClass,
            segments: segments.map { TopologySegment(key: $0.key, value: $0.value) }.sorted()
        )
    }

    private static func counts(_ volumes: [Volume]) -> [PlacementCount] {
        volumes.map { PlacementCount(placement: $0.placement, unhealthy: $0.isUnhealthy ? 1 : 0, volumes: 1) }
    }

    private static func names(_ counts: [PlacementCount]) -> [String] {
        CommonPlacement.named(in: counts).map { common in
            switch common.attribute {
            case .storageClass(let name): "\(name) \(common.unhealthy)/\(common.total)"
            case .segment(let segment): "\(segment.key)=\(segment.value) \(common.unhealthy)/\(common.total)"
            }
        }
    }

    @Test func `the zone that fails is named`() {
        let counts = [
            PlacementCount(placement: Self.placed("gold", ["zone": "a"]), unhealthy: 0, volumes: 900),
            PlacementCount(placement: Self.placed("gold", ["zone": "b"]), unhealthy: 400, volumes: 1100),
        ]
        #expect(Self.names(counts) == ["zone=b 400/400"])
    }

    @Test func `what is common to all volumes of the driver says nothing`() {
        let gold = Self.placed("gold", ["zone": "a"])
        #expect(Self.names([PlacementCount(placement: gold, unhealthy: 10, volumes: 100)]).isEmpty)
        #expect(Self.names([PlacementCount(placement: gold, unhealthy: 100, volumes: 100)]).isEmpty)
    }

    @Test func `a StorageClass of most volumes is named if the others have another one`() {
        let counts = [
            PlacementCount(placement: Self.placed("gold"), unhealthy: 95, volumes: 95),
            PlacementCount(placement: Self.placed("silver"), unhealthy: 0, volumes: 5),
        ]
        #expect(Self.names(counts) == ["gold 95/95"])
    }

    @Test(arguments: [(9, 1, true), (89, 11, false)])
    func `what explains less than 90 percent is not named`(gold: Int, silver: Int, isNamed: Bool) {
        let counts = [
            PlacementCount(placement: Self.placed("gold"), unhealthy: gold, volumes: gold),
            PlacementCount(placement: Self.placed("silver"), unhealthy: silver, volumes: 100),
        ]
        #expect(Self.names(counts) == (isNamed ? ["gold \(gold)/\(gold + silver)"] : []))
    }

    @Test func `of a region and a zone in it, the zone is named`() {
        let counts = [
            PlacementCount(placement: Self.placed("", ["region": "r", "zone": "a"]), unhealthy: 0, volumes: 100),
            PlacementCount(placement: Self.placed("", ["region": "r", "zone": "b"]), unhealthy: 100, volumes: 100),
            PlacementCount(placement: Self.placed("", ["region": "s", "zone": "c"]), unhealthy: 0, volumes: 200),
        ]
        #expect(Self.names(counts) == ["zone=b 100/100"])
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func `what is named is what a count over all volumes finds`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let (classes, zones) = (["", "gold", "silver"], ["a", "b", "c"])
        let failing = zones.randomElement(using: &random)
        let volumes: [Volume] = (0..<Int.random(in: 1...60, using: &random)).map { _ in
            let zone = zones.randomElement(using: &random) ?? "a"
            var segments = ["zone": zone, "region": zone == "c" ? "s" : "r"]
            if Int.random(in: 0..<8, using: &random) == 0 { segments = [:] }
            let placement = Self.placed(classes.randomElement(using: &random) ?? "", segments)
            let isLikely = zone == failing
            return (placement, Int.random(in: 0..<(isLikely ? 10 : 100), using: &random) < 7)
        }
        let unhealthy = volumes.filter(\.isUnhealthy)
        let others = volumes.filter { !$0.isUnhealthy }
        func explains(_ has: (VolumePlacement) -> Bool) -> Bool {
            let (ill, well) = (unhealthy.count { has($0.placement) }, others.count { has($0.placement) })
            return ill > 0 && !others.isEmpty && Double(ill) >= 0.9 * Double(unhealthy.count)
                && Double(well) <= Double(others.count) * 2 / 3
        }
        let explainingClasses = classes.filter { name in !name.isEmpty && explains { $0.storageClass == name } }
        let allSegments = Set(volumes.flatMap(\.placement.segments))
        let explainingSegments = allSegments.filter { segment in explains { $0.segments.contains(segment) } }

        let named = CommonPlacement.named(in: Self.counts(volumes.shuffled(using: &random)))
        let grouped = Dictionary(grouping: volumes, by: \.placement).map { placement, volumes in
            PlacementCount(placement: placement, unhealthy: volumes.count(where: \.isUnhealthy), volumes: volumes.count)
        }
        #expect(CommonPlacement.named(in: grouped) == named, "seed \(seed)")
        #expect(
            named.count == (explainingClasses.isEmpty ? 0 : 1) + (explainingSegments.isEmpty ? 0 : 1),
            "seed \(seed)"
        )
        for common in named {
            #expect(common.total == unhealthy.count)
            switch common.attribute {
            case .storageClass(let name):
                #expect(explainingClasses.contains(name), "seed \(seed)")
                #expect(common.unhealthy == unhealthy.count { $0.placement.storageClass == name })
            case .segment(let segment):
                #expect(explainingSegments.contains(segment), "seed \(seed)")
                #expect(common.unhealthy == unhealthy.count { $0.placement.segments.contains(segment) })
                let rest = others.count { $0.placement.segments.contains(segment) }
                for other in explainingSegments {
                    #expect(rest <= others.count { $0.placement.segments.contains(other) }, "seed \(seed)")
                }
            }
        }
    }
}

/// The topology segments in a nodeAffinity, and the text that the index keeps.
@Suite struct VolumePlacementTests {
    private static func term(_ requirements: (String, String, [String])...) -> NodeSelectorTerm {
        NodeSelectorTerm(matchExpressions: requirements.map { .init(key: $0.0, operator: $0.1, values: $0.2) })
    }

    @Test func `a single value of a key is a segment, in ascending order`() {
        let selector = NodeSelector(terms: [
            Self.term(("zone", "In", ["b"]), ("region", "In", ["r"]), ("a", "In", ["x", "y"]), ("c", "NotIn", ["z"]))
        ])
        #expect(selector.segments.map { "\($0.key)=\($0.value)" } == ["region=r", "zone=b"])
    }

    @Test func `a volume of two zones is only in what both have`() {
        let selector = NodeSelector(terms: [
            Self.term(("zone", "In", ["a"]), ("region", "In", ["r"])),
            Self.term(("zone", "In", ["b"]), ("region", "In", ["r"])),
        ])
        #expect(selector.segments == [TopologySegment(key: "region", value: "r")])
        #expect(NodeSelector(terms: selector.terms + [NodeSelectorTerm()]).segments.isEmpty)
        #expect(NodeSelector().segments.isEmpty)
    }

    @Test func `texts that no label may have, and too many segments, are left out`() {
        let long = String(repeating: "v", count: 64)
        #expect(NodeSelector(terms: [Self.term(("zone", "In", [long]))]).segments.isEmpty)
        let many = NodeSelectorTerm(
            matchExpressions: (0..<20).map { .init(key: "k\($0)", operator: "In", values: ["v"]) }
        )
        #expect(NodeSelector(terms: [many]).segments.count == 8)
    }

    @Test(arguments: ["", "gold"], [0, 1, 3])
    func `a placement is read from its text`(storageClass: String, segments: Int) {
        let placement = VolumePlacement(
            storageClass: storageClass,
            segments: (0..<segments).map { TopologySegment(key: "example.com/k\($0)", value: $0 == 1 ? "" : "v") }
        )
        #expect(VolumePlacement(text: placement.text) == placement)
        #expect(VolumePlacement().text.isEmpty)
    }
}
