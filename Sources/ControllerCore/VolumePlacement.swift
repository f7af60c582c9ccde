// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a volume may have in common with others that fail together: its StorageClass and its topology.
package struct VolumePlacement: Sendable, Hashable {
    /// `spec.storageClassName`; empty: none.
    package var storageClass: String
    /// In ascending order, without duplicates.
    package var segments: [TopologySegment]

    package init(storageClass: String = "", segments: [TopologySegment] = []) {
        self.storageClass = storageClass
        self.segments = segments
    }

    /// Equal for equal placements. Neither names of StorageClasses nor labels contain a newline, and no key of a label
    /// an equals sign.
    var text: String {
        if segments.isEmpty { return storageClass }
        return ([storageClass] + segments.map { "\($0.key)=\($0.value)" }).joined(separator: "\n")
    }

    /// The placement with this ``text``.
    init(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        storageClass = lines.first.map(String.init) ?? ""
        segments = lines.dropFirst().map { line in
            let end = line.firstIndex(of: "=") ?? line.endIndex
            return TopologySegment(key: String(line[..<end]), value: String(line[end...].dropFirst()))
        }
    }
}

/// A part of a topology, such as `topology.kubernetes.io/zone` and `b`.
package struct TopologySegment: Sendable, Hashable, Comparable {
    package var key: String
    package var value: String

    package init(key: String, value: String) {
        self.key = key
        self.value = value
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.key, left.value) < (right.key, right.value)
    }
}

extension NodeSelector {
    /// The topology segments that contain every node that it admits: the requirements `KEY In (VALUE)` that all terms
    /// have. A volume of two zones is in neither alone. In ascending order, at most ``maximumSegments``.
    package var segments: [TopologySegment] {
        guard let first = terms.first else { return [] }
        let common = terms.dropFirst().reduce(first.segments) { $0.intersection($1.segments) }
        return Array(common.sorted().prefix(Self.maximumSegments))
    }

    private static var maximumSegments: Int { 8 }
}

extension NodeSelectorTerm {
    /// Longer keys and values than a label may have match no node.
    fileprivate var segments: Set<TopologySegment> {
        Set(
            matchExpressions.compactMap { requirement in
                guard requirement.operator == "In", let value = requirement.values.first,
                    requirement.values.count == 1, requirement.key.utf8.count <= 317, value.utf8.count <= 63
                else { return nil }
                return TopologySegment(key: requirement.key, value: value)
            }
        )
    }
}
