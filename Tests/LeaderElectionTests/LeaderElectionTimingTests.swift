// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import LeaderElection

struct LeaderElectionTimingTests {
    @Test func `the defaults are EH ms`() throws {
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
    func `periods that cannot keep two leaders apart are refused`(lease: Int, renew: Int, retry: Int) {
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

    @Test func `of the lease duration only what the Lease stores counts`() throws {
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
            ("hostpath.csi.k8s.io", "external-health-monitor-leader-hostpath-csi-k8s-io"),
            ("A_b/c", "external-health-monitor-leader-A-b-c"),
            ("ends.", "external-health-monitor-leader-ends-X"),
        ]
    )
    func `is EH ms`(driver: String, lease: String) {
        #expect(LeaseName.controller(driverName: driver) == lease)
    }

    @Test func `an identity is the host name made fit`() {
        #expect(LeaseName.identity(hostName: "csi-hostpathplugin-0") == "csi-hostpathplugin-0")
        #expect(LeaseName.identity(hostName: "node.example") == "node-example")
    }
}
