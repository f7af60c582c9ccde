// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import NodeCore
@testable import NodeMonitor

/// What has an event of its own has a name of its own.
struct PodEventNameTests {
    private static func volume(_ name: String, isInline: Bool = false) -> NodeVolume {
        NodeVolume(
            key: NodeVolumeKey(podUID: "uid", volume: name, isInline: isInline),
            namespace: "shop",
            podName: "app",
            driver: "hostpath.csi.k8s.io",
            volumeHandle: "handle",
            names: ["data"]
        )
    }

    @Test(.tags(.rule6)) func `each condition of an unknown type has a name of its own, whatever its message`() {
        let volume = Self.volume("pvc-1")
        func name(_ type: Int, _ reason: String, _ message: String = "") -> String {
            PodEvents.name(volume, unknown: UnknownCondition(type: type, reason: reason, message: message))
        }
        #expect(name(9, "Slow", "a") == name(9, "Slow", "b"))
        #expect(Set([name(9, "Slow"), name(9, "Hot"), name(8, "Slow")]).count == 3)
        #expect(name(9, "Slow") != PodEvents.name(volume, reason: EventVocabulary.unknownReason))
    }

    @Test func `an inline volume and a PersistentVolume of the same name have different names`() {
        for reason in [EventVocabulary.abnormalReason, EventVocabulary.normalReason] {
            let names = [Self.volume("data"), Self.volume("data", isInline: true)].map {
                PodEvents.name($0, reason: reason)
            }
            #expect(names[0] != names[1])
        }
    }
}
