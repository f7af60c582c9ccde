// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthMonitorTestKit
import HealthRuntime
import KubernetesAPI
import ProtobufWire
import SwiftProtobuf
import Testing

@testable import ControllerMonitor

/// Texts of a PersistentVolume that are as long as etcd allows take no memory. The API server limits neither the length
/// of `spec.csi.volumeHandle` nor the number of terms, requirements and values in `spec.nodeAffinity`.
@Suite(.timeLimit(.minutes(50))) struct StoredLengthTests {
    @Test(arguments: [(4096, true), (4097, false), (1 << 20, false)])
    func `a handle longer than the limit is not read`(length: Int, isRead: Bool) throws {
        let volume = PersistentVolume.with {
            $0.metadata.name = "pv"
            $0.spec.persistentVolumeSource.csi.driver = "driver"
            $0.spec.persistentVolumeSource.csi.volumeHandle = String(repeating: "h", count: length)
        }
        let bytes: [UInt8] = try volume.serializedBytes()
        // The controller and the agent have the same limit.
        #expect((try? WatchedVolume(reading: bytes.span))?.handle.utf8.count == (isRead ? length : nil))
        #expect((try? VolumeBinding(reading: bytes.span))?.handle.utf8.count == (isRead ? length : nil))
        guard !isRead else { return }
        do {
            _ = try WatchedVolume(reading: bytes.span)
        } catch {
            #expect("\(error)".hasSuffix("has \(length) bytes, more than the limit of 4096"))
        }
    }

    @Test func `a volume with a handle of a megabyte is skipped, and the others are monitored`() async throws {
        let usual = VolumeFixture(number: 0)
        let long = VolumeFixture(claimName: "a", volumeName: "a", handle: String(repeating: "h", count: 1 << 20))
        try await Scene.run { scene in
            scene.driver.configuration.controllerCapabilities = [11, 12]
            for volume in [long, usual] { try volume.create(in: scene.server) }
            scene.driver.set(.abnormal("broken"), ofVolume: usual.handle)
            scene.driver.set(.abnormal("long"), ofVolume: long.handle)
        } _: { scene in
            try await scene.advance { try GetModeTests.calls(scene, for: usual) >= 3 && !scene.events().isEmpty }
            #expect(Set(GetModeTests.calls(scene).keys) == [usual.handle])
            #expect(try scene.events().map { $0["message"] } == ["broken"])
        }
    }

    enum Affinity: CaseIterable {
        /// One requirement with 10,000 values.
        case values
        /// 10,000 requirements on other keys with one value each, in one term.
        case requirements
        /// 10,000 terms with one requirement each.
        case terms

        var selector: NodeSelector {
            let many = 0..<10_000
            return switch self {
            case .values:
                NodeSelector(terms: [
                    .init(matchExpressions: [.init(key: "k", operator: "In", values: many.map { "v\($0)" })])
                ])
            case .requirements:
                NodeSelector(terms: [
                    .init(matchExpressions: many.map { .init(key: "k\($0)", operator: "In", values: ["v"]) })
                ])
            case .terms:
                NodeSelector(
                    terms: many.map { .init(matchExpressions: [.init(key: "k", operator: "In", values: ["v\($0)"])]) }
                )
            }
        }
    }

    /// What is stored of a placement is at most this long: 8 segments, each with the longest key and value of a label,
    /// and the name of the StorageClass.
    @Test(arguments: Affinity.allCases)
    func `of a nodeAffinity with 10,000 entries at most eight segments are kept`(affinity: Affinity) throws {
        let bytes = WireBytes.volume(affinity: affinity.selector)
        let volume = try WatchedVolume(reading: bytes.span)
        let selector = try #require(volume.nodeSelector)
        #expect(selector == affinity.selector)
        let placement = volume.monitored(secrets: .none).placement
        #expect(placement.segments.count == (affinity == .requirements ? 8 : 0))
        // The whole affinity decides which nodes may use the volume.
        #expect(selector.admits(name: "node", labels: ["k": "v9999"]) == (affinity != .requirements))
    }
}

/// Encodes what the generated messages do not have, with the field numbers of `k8s.io/api/core/v1/generated.proto`.
private enum WireBytes {
    static func volume(affinity: NodeSelector) -> [UInt8] {
        let terms = affinity.terms.flatMap { term in
            field(1, term.matchExpressions.flatMap { field(1, requirement($0)) })
        }
        return field(1, text(1, "pv")) + field(2, field(9, field(1, terms)))
    }

    private static func requirement(_ requirement: NodeSelectorRequirement) -> [UInt8] {
        text(1, requirement.key) + text(2, requirement.operator) + requirement.values.flatMap { text(3, $0) }
    }

    private static func text(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    private static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        WireField.header(number: number, length: content.count) + content
    }
}
