// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthMonitorTestKit
import Testing

/// The message of an event is read back as the state it was made from, or not at all.
struct VolumeStateSummaryTests {
    private func readBack(_ conditions: [VolumeHealthCondition]) -> VolumeState? {
        VolumeState(summary: conditions.summary, fingerprint: VolumeState(conditions).fingerprint)
    }

    @Test(arguments: [
        [VolumeHealthCondition(abnormalMessage: "The source path of the volume does not exist")],
        [VolumeHealthCondition(status: .dataLoss, reason: "BadBlocks", message: "4 blocks cannot be read; 2 are lost")],
        [VolumeHealthCondition(status: .inaccessible, reason: "ArrayDown", message: "")],
        [
            VolumeHealthCondition(status: .inaccessible, reason: "PathDown", message: "a: b; c"),
            VolumeHealthCondition(status: .degraded, reason: "Slow", message: ""),
            VolumeHealthCondition(status: .degraded, reason: "Old (v1)", message: "firmware"),
        ],
    ])
    func `a summary is read back as its state`(conditions: [VolumeHealthCondition]) {
        #expect(readBack(conditions)?.conditions == conditions)
    }

    @Test func `the summary of another state is rejected`() {
        let state = VolumeState([VolumeHealthCondition(status: .dataLoss, reason: "Gone", message: "all")])
        for text in ["", "Degraded (Gone): all", "DataLoss (Go", "DataLoss (Gone", "x; DataLoss (Gone): all"] {
            #expect(VolumeState(summary: text, fingerprint: state.fingerprint) == nil, "\(text)")
        }
        #expect(VolumeState(summary: "DataLoss (Gone): all but this", fingerprint: state.fingerprint) != nil)
    }

    /// Anyone who may create events can write one of a megabyte.
    @Test func `a state has a bounded number of conditions`() {
        func conditions(_ count: Int) -> [VolumeHealthCondition] {
            (0..<count).map { VolumeHealthCondition(status: .degraded, reason: "Reason\($0)", message: "") }
        }
        #expect(readBack(conditions(16))?.conditions.count == 16)
        #expect(readBack(conditions(17)) == nil)
        #expect(readBack(conditions(50_000)) == nil)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `a state that is read back has the fingerprint of its event`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let words = ["; ", "Degraded (", "): ", ")", "x", "DataLoss", ""]
        func text() -> String {
            (0..<Int.random(in: 0...4, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }.joined()
        }
        let conditions = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            VolumeHealthCondition(
                status: VolumeHealthCondition.Status.allCases.randomElement(using: &random) ?? .degraded,
                reason: text(),
                message: text()
            )
        }
        let state = VolumeState(conditions)
        if let found = readBack(conditions) { #expect(found.fingerprint == state.fingerprint) }
    }
}
