// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@Suite struct FailureBurstTests {
    @Test func `five failures of a minute are warnings, and one line says that there are more`() {
        var burst = FailureBurst()
        func lines(_ seconds: [Double]) -> [FailureBurst.Line] { seconds.map { burst.next(at: .seconds($0)) } }
        #expect(lines([100, 100, 101, 102, 159]) == Array(repeating: .warning, count: 5))
        #expect(lines([159, 159, 159.9]) == [.more, .quiet, .quiet])
        // A minute after the first of them, they begin anew.
        #expect(lines([160, 219, 300]) == [.warning, .warning, .warning])
    }
}
