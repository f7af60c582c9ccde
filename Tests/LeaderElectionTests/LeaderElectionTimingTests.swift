// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import LeaderElection

struct LeaderElectionTimingTests {
    @Test func `the defaults are csi-lib-utils'`() throws {
        let timing = try LeaderElectionTiming()
        #expect(timing.leaseDuration == .seconds(15))
        #expect(timing.renewDeadline == .seconds(10))
        #expect(timing.retryPeriod == .seconds(5))
    }

    @Test(
        arguments: [
            (15, 15, 5), (10, 15, 5), (15, 6, 5), (15, 5, 5), (15, 10, 0), (15, 10, -1), (0, -1, -2),
        ] as [(Int, Int, Int)]
    )
    func `periods that do not keep two leaders apart are rejected`(lease: Int, renew: Int, retry: Int) {
        #expect(throws: LeaderElectionTimingError.self) {
            try LeaderElectionTiming(
                leaseDuration: .seconds(lease),
                renewDeadline: .seconds(renew),
                retryPeriod: .seconds(retry)
            )
        }
    }

    @Test func `the error names the periods`() {
        #expect {
            try LeaderElectionTiming(leaseDuration: .seconds(5))
        } throws: { error in
            "\(error)".contains(
                "lease duration (5.0 seconds, stored in whole seconds) must be greater than the renew deadline (10.0 seconds)"
            )
        }
    }

    @Test func `only the whole seconds of the lease duration count`() throws {
        #expect(throws: LeaderElectionTimingError.self) {
            try LeaderElectionTiming(leaseDuration: .seconds(10.9), renewDeadline: .seconds(10.5))
        }
        #expect(throws: LeaderElectionTimingError.self) {
            try LeaderElectionTiming(leaseDuration: .seconds(10.9), renewDeadline: .seconds(10))
        }
        let timing = try LeaderElectionTiming(leaseDuration: .seconds(11.9), renewDeadline: .seconds(10.5))
        #expect(timing.leaseDurationSeconds == 11)
    }
}

struct LeaseNameTests {
    @Test(
        arguments: [
            ("hostpath.csi.k8s.io", "leader-hostpath-csi-k8s-io"),
            ("A_b/c", "leader-A-b-c"),
            ("ends.", "leader-ends-X"),
        ]
    )
    func `a lease name is sanitized as by csi-lib-utils`(driver: String, lease: String) {
        #expect(LeaseName.sanitized("leader-\(driver)") == lease)
    }

    @Test func `an identity is a sanitized host name`() {
        #expect(LeaseName.sanitized("csi-hostpathplugin-0") == "csi-hostpathplugin-0")
        #expect(LeaseName.sanitized("node.example") == "node-example")
    }
}
