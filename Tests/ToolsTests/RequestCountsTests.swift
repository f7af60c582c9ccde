// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import tools

@Suite struct RequestCountsTests {
    @Test func `writes are counted by kind`() {
        let requests = [
            "list persistentvolumes 200": 40, "watch persistentvolumes 200": 1, "create leases 201": 1,
            "update leases 200": 9, "create events 201": 5, "patch events 200": 2, "create events 429": 3,
            "patch persistentvolumeclaims/status 200": 4, "patch persistentvolumeclaims/status 409": 1,
            "patch persistentvolumeclaims/status unanswered": 1, "GET  200": 1,
        ]
        #expect(requests.writes == 16)
        #expect(requests.refusedWrites == 5)
        #expect(requests.createdEvents == 5)
        #expect(requests.statusWrites == 4)
    }
}
