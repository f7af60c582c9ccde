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
}
