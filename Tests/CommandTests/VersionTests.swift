// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import csi_health_monitor

@Suite struct VersionTests {
    /// A build of scripts/build.sh has git's version: `0.1.0`, `0.1.0-5-g0fc2dc3`, with `-dirty` if files were changed.
    @Test func `the version is a semantic version without a leading v`() {
        #expect(Program.version.wholeMatch(of: /\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?/) != nil, "\(Program.version)")
    }

    @Test func `the version and the commit are those of the build`() {
        let environment = ProcessInfo.processInfo.environment
        if let version = environment["CSI_HEALTH_MONITOR_VERSION"] { #expect(Program.version == version) }
        #expect(Program.revision == environment["CSI_HEALTH_MONITOR_REVISION"] ?? "unknown")
    }

    @Test func `the line of --version has the version and the commit`() {
        #expect(Program.versionLine == "csi-health-monitor \(Program.version) (\(Program.revision))")
    }
}
