// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import VolumeStatus

@Suite struct HealthFindingTests {
    @Test(arguments: [
        ("DataLoss (BadBlocks): 7 blocks", condition(.dataLoss, "BadBlocks", "7 blocks")),
        ("Inaccessible (Gone)", condition(.inaccessible, "Gone")),
        (
            "DataLoss (BadBlocks): 7 blocks; Degraded (SlowIO): 3 of 12 paths",
            condition(.dataLoss, "BadBlocks", "7 blocks; Degraded (SlowIO): 3 of 12 paths")
        ), ("Inaccessible (Gone); Degraded (SlowIO)", condition(.inaccessible, "Gone", "Degraded (SlowIO)")),
        ("Degraded (ENOSPC(28)): full", condition(.degraded, "ENOSPC(28)", "full")),
        (
            "Degraded (3 of 4 disks) since noon",
            condition(.degraded, "VolumeConditionAbnormal", "Degraded (3 of 4 disks) since noon")
        ), ("Degraded (cut off", condition(.degraded, "VolumeConditionAbnormal", "Degraded (cut off")),
        ("the path is gone", condition(.degraded, "VolumeConditionAbnormal", "the path is gone")),
        ("", condition(.degraded, "VolumeConditionAbnormal")),
    ])
    func `the worst condition is parsed from a report`(text: String, expected: HealthCore.VolumeHealthCondition) {
        #expect(HealthCore.VolumeHealthCondition(report: text) == expected)
    }

    @Test func `what the controller writes is parsed back`() {
        for status in HealthCore.VolumeHealthCondition.Status.allCases {
            for message in ["", "7 of 12: paths (slow)"] {
                let written = condition(status, "SlowIO", message)
                #expect(HealthCore.VolumeHealthCondition(report: [written].summary) == written)
            }
        }
    }

    @Test(arguments: [
        ("Volume data (claim web): Degraded (A): b: c", "data", "web", "Degraded (A): b: c"),
        ("Volume data: gone", "data", nil, "gone"),
        // As VolumeKindTests has it from an agent.
        ("Volume data-0, data-1 (claim csi-pvc): gone", "data-0", "csi-pvc", "gone"),
        ("(combined from similar events): Volume data: gone", "data", nil, "gone"),
    ])
    func `the text of a node names the volume and the claim`(
        message: String,
        volume: String,
        claim: String?,
        text: String
    ) throws {
        let report = try #require(PodVolumeReport(message))
        #expect((report.volume, report.claim, report.text) == (volume, claim, text))
    }

    @Test(
        arguments: [
            "", "Volume : x", "Volume data", "Volume is not ready: x", "Volume data, is not ready: x", "Volume a, : x",
            "data (claim web): x",
        ]
    )
    func `a text of another form is not of a node`(message: String) {
        #expect(PodVolumeReport(message) == nil)
    }
}
