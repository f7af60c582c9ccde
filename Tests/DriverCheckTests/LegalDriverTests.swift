// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import DriverCheck
import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

/// What the specification permits is no finding. Where it prevents the check, the check could not run.
@Suite(.timeLimit(.minutes(50))) struct LegalDriverTests {
    @Test(arguments: Conforming.allCases, [GRPCStatus.Code.unauthenticated, .permissionDenied])
    func `a driver that requires secrets cannot be checked`(
        conforming: Conforming,
        code: GRPCStatus.Code
    ) async throws {
        try await withDriver(conforming.configuration) { driver in
            driver.intercept { call in
                let isOpen = call.method.contains("Identity") || call.method.hasSuffix("GetCapabilities")
                return isOpen ? nil : .fail(code, "no token")
            }
            let report = try await check(driver, conforming.side) { $0.createsVolume = conforming.side == .controller }
            #expect(report.found == [], "\(report.text)")
            #expect(report.exitCode == 2)
            #expect(report.problem?.contains("may require secrets") == true)
            #expect(report.leftover == nil)
        }
    }

    /// As a driver does that requires parameters, or has no volumes of 1Gi.
    @Test(arguments: [GRPCStatus.Code.invalidArgument, .outOfRange, .resourceExhausted])
    func `a driver may refuse to create the volume`(code: GRPCStatus.Code) async throws {
        for conforming in Conforming.controllers {
            try await withDriver(conforming.configuration) { driver in
                driver.intercept { $0.method.hasSuffix("/CreateVolume") ? .fail(code, "pool is required") : nil }
                let report = try await check(driver, .controller) { $0.createsVolume = true }
                #expect(report.found == [], "\(report.text)")
                #expect(report.exitCode == 2)
                #expect(report.problem?.contains("pool is required") == true)
                #expect(report.leftover == nil)
                #expect(driver.journal.calls("CreateVolume").count == 1)
            }
        }
    }

    @Test(arguments: Conforming.allCases)
    func `a mistyped --volume-id is named, and the check could not run`(conforming: Conforming) async throws {
        try await withDriver(conforming.configuration) { driver in
            let report = try await check(driver, conforming.side) { $0.volumeIDs = ["volume-3", "volume-33"] }
            #expect(report.found == [], "\(report.text)")
            #expect(report.exitCode == 2)
            #expect(report.problem?.hasPrefix("--volume-id \"volume-33\" is not found: ") == true)
        }
    }

    @Test func `a mistyped --volume-id is named by a driver that only lists`() async throws {
        try await withDriver(.init(controllerCapabilities: [3, 11])) { driver in
            let known = try await check(driver, .controller) { $0.volumeIDs = ["volume-3"] }
            #expect(known.problem == nil)
            let report = try await check(driver, .controller) { $0.volumeIDs = ["volume-33"] }
            #expect(report.exitCode == 2)
            #expect(report.problem == "--volume-id \"volume-33\" is not listed by ListVolumes")
        }
    }

    @Test(arguments: Conforming.controllers)
    func `a list starts over when its token is no longer valid`(conforming: Conforming) async throws {
        var configuration = conforming.configuration
        configuration.pageSize = 2
        try await withDriver(configuration) { driver in
            let isFirst = Atomic(true)
            driver.intercept { call in
                guard call.startingToken == "2" || call.startingToken == "4",
                    isFirst.exchange(false, ordering: .sequentiallyConsistent)
                else { return nil }
                return .fail(.aborted, "the token has expired")
            }
            let report = try await check(driver, .controller)
            let hasExpired = !isFirst.load(ordering: .sequentiallyConsistent)
            #expect(hasExpired)
            #expect(report.found == [], "\(report.text)")
            #expect(report.exitCode == 0)
        }
    }

    @Test func `a driver that refuses every token that it returns is found`() async throws {
        try await withDriver(.init(controllerCapabilities: [3, 11, 12], pageSize: 2)) { driver in
            driver.intercept { $0.startingToken.isEmpty ? nil : .fail(.aborted, "unknown token") }
            let report = try await check(driver, .controller)
            #expect(report.found == ["H021"], "\(report.text)")
        }
    }

    @Test(arguments: Conforming.allCases)
    func `ABORTED for a volume with a pending operation is no deviation`(conforming: Conforming) async throws {
        try await withDriver(conforming.configuration) { driver in
            driver.intercept { $0.volumeID == "volume-4" ? .fail(.aborted, "being attached") : nil }
            let report = try await check(driver, conforming.side)
            #expect(report.found == [], "\(report.text)")
            #expect(report.exitCode == 0)
        }
    }

    @Test(arguments: Conforming.allCases)
    func `a driver without any response for health does not pass`(conforming: Conforming) async throws {
        try await withDriver(conforming.configuration) { driver in
            driver.intercept { call in
                let isOpen = call.method.contains("Identity") || call.method.hasSuffix("GetCapabilities")
                return isOpen ? nil : .fail(.deadlineExceeded, "")
            }
            let report = try await check(driver, conforming.side)
            #expect(report.found == ["H022"], "\(report.text)")
            #expect(report.exitCode == 2)
        }
    }
}
