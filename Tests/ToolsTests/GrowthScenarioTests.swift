// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Testing

@testable import tools

@Suite struct GrowthScenarioTests {
    private static func parse(_ volumes: [String]) throws -> GrowthScenario {
        try GrowthScenario.parse(["--sidecar=/bin/sh", "--volumes"] + volumes)
    }

    @Test func `growing numbers of volumes are accepted`() throws {
        #expect(try Self.parse(["10", "20", "40"]).volumes == [10, 20, 40])
    }

    /// Each figure is relative to the number before.
    @Test(arguments: [["10", "10"], ["20", "10"], ["0", "10"]])
    func `others are refused`(volumes: [String]) {
        #expect(throws: (any Error).self) { try Self.parse(volumes) }
    }
}
