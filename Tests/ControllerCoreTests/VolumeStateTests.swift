// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct VolumeStateTests {
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `a state contains the conditions it was made from`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let conditions = (0..<Int.random(in: 0...16, using: &random)).map { _ in
            let message = VolumeHealthReportTests.text(upTo: 1024, using: &random)
            if Bool.random(using: &random) { return VolumeHealthCondition(abnormalMessage: message) }
            return VolumeHealthCondition(
                status: .allCases.randomElement(using: &random) ?? .degraded,
                reason: VolumeHealthReportTests.text(upTo: 256, using: &random),
                message: message
            )
        }
        let state = VolumeState(conditions)
        #expect(state.conditions == conditions)
        #expect(state.isClear == conditions.isEmpty)
        #expect(state == VolumeState(conditions))
        #expect(conditions.isEmpty || state != VolumeState(conditions.dropLast()))
        #expect(state.fingerprint == VolumeState(conditions.shuffled(using: &random)).fingerprint)
    }

    @Test func `the longest texts are kept`() {
        let texts = (reason: String(repeating: "r", count: 256), message: String(repeating: "m", count: 1024))
        let conditions = [VolumeHealthCondition(status: .dataLoss, reason: texts.reason, message: texts.message)]
        #expect(VolumeState(conditions).conditions == conditions)
    }

    @Test func `states differ by their messages, fingerprints do not`() {
        let states = ["a", "b", ""].map { VolumeState([VolumeHealthCondition(abnormalMessage: $0)]) }
        #expect(Set(states.map(\.conditions)).count == 3)
        #expect(states[0] != states[1])
        #expect(Set(states.map(\.fingerprint)).count == 1)
    }

    @Test func `fingerprints are the same in every version`() {
        // Fixed values: events of earlier versions are recognised by them.
        let state = VolumeState([VolumeHealthReportTests.condition(.degraded, "A", "any")])
        #expect(state.fingerprint.rawValue == 0x4734_9adf)
        #expect(Fingerprint(["Degraded/A"]).rawValue == 0x4734_9adf)
        #expect(VolumeState([]).fingerprint == Fingerprint([]))
        #expect(Fingerprint([]).rawValue == 0x811c_9dc5)
    }
}
