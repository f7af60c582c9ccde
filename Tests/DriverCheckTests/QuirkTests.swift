// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import DriverCheck
import GRPCTransport
import HealthMonitorTestKit
import Testing

/// Each deviation is found by its check, and by no other.
@Suite(.timeLimit(.minutes(50))) struct QuirkTests {
    struct Expectation: Sendable, CustomTestStringConvertible {
        var quirk: DriverQuirk
        var check: Check
        var drivers: [Conforming]

        init(_ quirk: DriverQuirk, _ check: Check, _ drivers: [Conforming] = Conforming.controllers) {
            self.quirk = quirk
            self.check = check
            self.drivers = drivers
        }

        var testDescription: String { "\(quirk.rawValue) \(check.rawValue)" }
    }

    static let all = Conforming.allCases
    static let withHealth: [Conforming] = [.healthController, .healthNode]
    static let readOnly = [
        Expectation(.repeatedToken, .newToken),
        Expectation(.endlessPages, .listEnds),
        Expectation(.acceptsInvalidToken, .invalidToken),
        Expectation(.refusesInvalidTokenOtherwise, .invalidToken),
        Expectation(.truncatesAtMaxEntries, .sameVolumes),
        Expectation(.ignoresMaxEntries, .maxEntries),
        Expectation(.entryWithoutID, .entryID),
        Expectation(.listsVolumeTwice, .listedOnce),
        Expectation(.entryWithoutCondition, .entryCondition, [.legacyController]),
        Expectation(.unstableOrder, .stableOrder),
        Expectation(.wrongID, .requestedID, [.legacyController, .healthController, .healthNode]),
        Expectation(.missingHealth, .requiredHealth, all),
        Expectation(.unknownVolumeIsHealthy, .unknownID, all),
        Expectation(.emptyIDNotFound, .emptyID, all),
        Expectation(.getContradictsList, .agreesWithList),
        Expectation(.failsOnGet, .successful, all),
        Expectation(.getUnimplemented, .implemented, all),
        Expectation(.undecodable, .decodable, all),
        Expectation(.notConcurrent, .parallel, all),
        Expectation(.noStatus, .statusSet, withHealth),
        Expectation(.unknownStatus, .knownStatus, withHealth),
        Expectation(.noReason, .reasonSet, withHealth),
        Expectation(.lowercaseReason, .camelCase, withHealth),
        Expectation(.longReason, .reasonSize, withHealth),
        Expectation(.duplicatePairs, .uniquePairs, withHealth),
        Expectation(.longMessage, .messageSize, all),
        Expectation(.abnormalWithoutMessage, .abnormalMessage, [.legacyController, .legacyNode]),
        Expectation(.unstableMessage, .stableMessage, all),
        Expectation(.unstableEntryOrder, .stableOrder, withHealth),
        Expectation(.acceptsEmptyPath, .emptyPath, [.legacyNode]),
        Expectation(.acceptsUnknownPath, .unknownPath, [.legacyNode]),
        Expectation(.requiresPaths, .optionalPaths, [.healthNode]),
        Expectation(.duplicateStorageProblems, .storageHealth, [.healthNode]),
    ]
    static let creating = [
        Expectation(.createFails, .created),
        Expectation(.createWithoutID, .created),
        Expectation(.createdIsUnknown, .createdFound),
        Expectation(.deleteFails, .deleted),
        Expectation(.secondDeleteFails, .deleted),
        Expectation(.deletedStays, .deletedGone),
    ]

    @Test(arguments: readOnly)
    func `a deviation is found by its check alone`(expectation: Expectation) async throws {
        for conforming in expectation.drivers {
            try await withDriver(conforming.configuration) { driver in
                driver.deviate(expectation.quirk)
                let report = try await check(driver, conforming.side)
                #expect(report.found == [expectation.check.rawValue], "\(conforming): \(report.text)")
                #expect(report.exitCode == (expectation.check.definition.severity == .error ? 1 : 0))
            }
        }
    }

    @Test(arguments: creating)
    func `a deviation of created volumes is found by its check alone`(expectation: Expectation) async throws {
        for conforming in expectation.drivers {
            try await withDriver(conforming.configuration) { driver in
                driver.deviate(expectation.quirk)
                let report = try await check(driver, .controller) { $0.createsVolume = true }
                #expect(report.found == [expectation.check.rawValue], "\(conforming): \(report.text)")
                #expect(report.exitCode == 1)
            }
        }
    }

    @Test(arguments: Conforming.allCases)
    func `a call without a response is found, and is not repeated for each volume`(conforming: Conforming) async throws
    {
        try await withDriver(conforming.configuration) { driver in
            driver.deviate(.timesOutOnGet)
            let report = try await check(driver, conforming.side)
            #expect(report.found == [Check.inTime.rawValue], "\(report.text)")
            let gets = driver.journal.records.filter { call in volumes.contains { $0.id == call.volumeID } }
            #expect(gets.count == (conforming == .legacyNode ? 3 : conforming == .healthNode ? 2 : 1))
        }
    }

    /// A call that hangs is in the tests of interruptions.
    @Test func `every quirk has an expectation`() {
        let expected = Set((Self.readOnly + Self.creating).map(\.quirk)).union([.timesOutOnGet, .hangsOnGet])
        #expect(expected == Set(DriverQuirk.allCases))
    }

    @Test(arguments: [
        ([17], ["H010"]), ([3, 11, 12, 16, 17], ["H012"]), ([3, 11], []), ([11, 12], []), ([16], []),
    ])
    func `combinations of capabilities are checked`(capabilities: [Int], found: [String]) async throws {
        try await withDriver(.init(controllerCapabilities: capabilities)) { driver in
            let report = try await check(driver, .controller)
            #expect(report.found == found, "\(report.text)")
        }
    }

    @Test func `a condition that no RPC reports is found, and nothing else can be checked`() async throws {
        try await withDriver(.init(controllerCapabilities: [11])) { driver in
            let report = try await check(driver, .controller)
            #expect(report.found == ["H011"])
            #expect(report.exitCode == 2)
        }
    }

    @Test(arguments: [("block..example", "H001"), ("", "H001")])
    func `the driver's name is checked`(name: String, found: String) async throws {
        try await withDriver(.init(name: name)) { driver in
            let report = try await check(driver, .controller)
            #expect(report.found == [found])
        }
    }

    @Test func `a missing version is found`() async throws {
        try await withDriver(.init(vendorVersion: "")) { driver in
            let report = try await check(driver, .controller)
            #expect(report.found == ["H002"])
        }
    }

    /// As csi-driver-host-path does that was built without a version.
    @Test func `a driver that does not identify itself is found`() async throws {
        try await withDriver(.legacy) { driver in
            driver.intercept { $0.method.hasSuffix("/GetPluginInfo") ? .fail(.unavailable, "no version") : nil }
            let report = try await check(driver, .controller)
            #expect(report.found == ["H021"])
            #expect(report.driver == nil)
        }
    }

    /// Source: csi-driver-host-path, pkg/hostpath/controllerserver.go.
    @Test func `the deviations of csi-driver-host-path are found`() async throws {
        var configuration = SimulatedDriver.Configuration.legacy
        configuration.reportsUnknownVolumesAbnormal = true
        try await withDriver(configuration) { driver in
            driver.deviate(.truncatesAtMaxEntries)
            let report = try await check(driver, .controller)
            #expect(report.found == ["H031", "H042"], "\(report.text)")
            #expect(report.plan?.blindSpots.contains { $0.contains("deleted") } == true)
        }
    }
}
