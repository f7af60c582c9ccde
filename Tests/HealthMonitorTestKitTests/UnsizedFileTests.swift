// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@Suite struct UnsizedFileTests {
    /// The mappings of this process are many times 4 KB.
    @Test func `a file of proc is read to its end`() throws {
        let mappings = String(decoding: try UnsizedFile.contents(of: "/proc/self/maps"), as: UTF8.self)
        #expect(mappings.utf8.count > 3 * 4096)
        #expect(mappings.hasSuffix("\n"))
    }
}
