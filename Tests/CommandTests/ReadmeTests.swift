// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import csi_health_monitor

@Suite struct ReadmeTests {
    @Test func `the README has the flags of the help that have an effect, with their defaults`() throws {
        let documented = try FlagTable.flags(ofPage: "README.md")
        let help = HelpEntry.effectiveEntries(of: ControllerCommand.self)
        #expect(documented == Dictionary(uniqueKeysWithValues: help.map { ($0.name, $0.defaultText) }))
    }
}
