// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

struct EventNameTests {
    let claim = Claim(key: ClaimKey(namespace: "default", name: "csi-pvc"), uid: "uid-1", resourceVersion: "1")

    func name(
        of claim: Claim? = nil,
        component: String = "c",
        reason: String = "r",
        _ conditions: [VolumeHealthCondition] = []
    ) -> String {
        EventName.make(
            object: (claim ?? self.claim).key.name,
            uid: (claim ?? self.claim).uid,
            component: component,
            reason: reason,
            fingerprint: fingerprint(conditions)
        )
    }

    func fingerprint(_ conditions: [VolumeHealthCondition]) -> Fingerprint {
        VolumeState(conditions).fingerprint
    }

    @Test func `the same report has the same event name in every process`() {
        // A fixed value: a name that changed with the version would report every condition twice after an upgrade.
        #expect(name() == "csi-pvc.4581e850811c9dc5")
    }

    @Test func `every part of a report is part of the name`() {
        var other = claim
        other.uid = "uid-2"
        let degraded = VolumeHealthCondition(abnormalMessage: "m")
        let names: Set = [
            name(), name(of: other), name(component: "d"), name(reason: "s"), name([degraded]),
            name([VolumeHealthCondition(status: .dataLoss, reason: degraded.reason, message: "m")]),
        ]
        #expect(names.count == 6)
    }

    @Test func `the messages and the order of conditions do not change the name`() {
        let one = VolumeHealthCondition(status: .degraded, reason: "A", message: "1")
        let two = VolumeHealthCondition(status: .inaccessible, reason: "B", message: "2")
        let reported = VolumeHealthCondition(status: .degraded, reason: "A", message: "other")
        #expect(name([one, two]) == name([two, reported]))
    }

    @Test func `the name for a long claim is cut to the length limit of event names`() {
        var long = claim
        long.key.name = String(repeating: "a", count: 235) + ".b" + String(repeating: "c", count: 16)
        let name = name(of: long)
        #expect(name.utf8.count <= 253)
        #expect(name.hasPrefix(String(repeating: "a", count: 235) + "."))
        #expect(!name.contains(".."))
    }

    @Test(.tags(.rule9)) func `a report is read back from the event name`() {
        let conditions = [VolumeHealthCondition(abnormalMessage: "m")]
        let name = name(conditions)
        func read(_ name: String, reason: String = "r") -> Fingerprint? {
            EventName.fingerprint(in: name, uid: "uid-1", component: "c", reason: reason)
        }
        #expect(read(name) == fingerprint(conditions))
        #expect(read(name, reason: "s") == nil)
        #expect(read("csi-pvc.17a1b2c3d4e5f607") == nil)
        #expect(read("csi-pvc") == nil)
        #expect(read("") == nil)
    }

    // MARK: Events on pods

    private func podName(
        _ pod: String = "app",
        uid: String = "uid-1",
        volume: String = "pv-1",
        component: String = "c",
        reason: String = "r"
    ) -> String {
        EventName.make(pod: pod, uid: uid, volume: volume, component: component, reason: reason)
    }

    @Test func `the event on a volume of a pod has the same name in every process, whatever it reports`() {
        #expect(podName() == "app.4581e8505a94ff09")
        let names: Set = [
            podName(), podName(uid: "uid-2"), podName(volume: "pv-2"), podName(component: "d"), podName(reason: "s"),
        ]
        #expect(names.count == 5)
        #expect(podName(String(repeating: "a", count: 253)).utf8.count == 253)
    }

    @Test(.tags(.rule9)) func `a fingerprint is read back from its annotation`() {
        for value in [0, 0x1f, .max] as [UInt32] {
            let fingerprint = Fingerprint(rawValue: value)
            #expect(EventName.fingerprint(annotation: EventName.annotation(fingerprint)) == fingerprint)
        }
        for text in ["", "0", "1F2E3D4C", "123456789", "x2345678", "-1234567"] {
            #expect(EventName.fingerprint(annotation: text) == nil, "\(text)")
        }
    }
}
