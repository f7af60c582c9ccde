// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import DriverCheck
import Foundation
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct ConformingDriverTests {
    @Test(arguments: Conforming.allCases)
    func `a conforming driver passes, and no check is skipped without need`(conforming: Conforming) async throws {
        try await withDriver(conforming.configuration) { driver in
            driver.configuration.storageHealth = [
                .init(status: 1, reason: "PathLost"), .init(status: 2, reason: "PathLost"),
            ]
            let report = try await check(driver, conforming.side) { $0.createsVolume = conforming.side == .controller }
            #expect(report.found == [], "\(report.text)")
            #expect(report.exitCode == 0)
            let skipped = report.results.filter { if case .skipped = $0.outcome { true } else { false } }
            let unneeded: Set<Check> =
                switch conforming {
                case .legacyController:
                    [.statusSet, .knownStatus, .reasonSet, .camelCase, .reasonSize, .uniquePairs]
                case .healthController: [.entryCondition, .abnormalMessage]
                case .legacyNode:
                    [
                        .optionalPaths, .statusSet, .knownStatus, .reasonSet, .camelCase, .reasonSize, .uniquePairs,
                        .storageHealth, .stableOrder,
                    ]
                case .healthNode: [.emptyPath, .unknownPath, .abnormalMessage]
                }
            #expect(Set(skipped.map(\.check)) == unneeded, "\(report.text)")
        }
    }

    /// A property: whatever volumes a conforming driver has and however it pages, it has no finding.
    @Test(arguments: 0..<20)
    func `a conforming driver with any volumes passes`(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let volumes = (0..<Int.random(in: 0...12, using: &random)).map { number in
            var volume = SimulatedVolume(id: "v\(number)")
            volume.condition = Bool.random(using: &random) ? .healthy : .abnormal("broken \(number)")
            volume.health = ["SlowIO", "DiskFailure", "Lost"].filter { _ in Bool.random(using: &random) }.map {
                .init(status: Int.random(in: 1...3, using: &random), reason: $0, message: "m")
            }
            return volume
        }
        for conforming in Conforming.controllers {
            var configuration = conforming.configuration
            configuration.pageSize = Int.random(in: 0...3, using: &random)
            configuration.listsHealthyVolumes = Bool.random(using: &random)
            try await withDriver(configuration, volumes: volumes) { driver in
                let report = try await check(driver, .controller)
                #expect(report.found == [], "\(report.text)")
                #expect(report.exitCode == 0)
            }
        }
    }

    @Test func `nothing is changed without --create-volume`() async throws {
        for conforming in Conforming.controllers {
            try await withDriver(conforming.configuration) { driver in
                _ = try await check(driver, .controller)
                #expect(driver.journal.calls("CreateVolume").isEmpty)
                #expect(driver.journal.calls("DeleteVolume").isEmpty)
            }
        }
    }

    @Test func `a driver that cannot create volumes is not called to`() async throws {
        try await withDriver(.legacy) { driver in
            let report = try await check(driver, .controller) { $0.createsVolume = true }
            #expect(report.exitCode == 0)
            #expect(report.outcome(.created) == .skipped("the driver does not announce CREATE_DELETE_VOLUME"))
            #expect(driver.journal.calls("CreateVolume").isEmpty)
        }
    }

    @Test func `a created volume is deleted`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 3, 11, 12])) { driver in
            let report = try await check(driver, .controller) { $0.createsVolume = true }
            #expect(report.exitCode == 0)
            #expect(driver.journal.calls("CreateVolume").map(\.name) == ["csi-health-monitor-check-test"])
            #expect(driver.volumes.map(\.id) == volumes.map(\.id))
        }
    }

    @Test func `a call finds the created volume of a driver without volumes`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 16]), volumes: []) { driver in
            let report = try await check(driver, .controller) { $0.createsVolume = true }
            #expect(report.found == [], "\(report.text)")
            #expect(report.outcome(.createdFound) == .passed(nil))
            #expect(report.outcome(.deletedGone) == .passed(nil))
        }
    }

    @Test(arguments: [Check.Side.controller, .node])
    func `a driver without health capabilities cannot be checked`(side: Check.Side) async throws {
        try await withDriver(.init(controllerCapabilities: [3], nodeCapabilities: [2])) { driver in
            let report = try await check(driver, side)
            #expect(report.exitCode == 2)
            #expect(report.found == [])
            #expect(report.text.contains("verdict: could not run: the driver does not report the health"))
        }
    }

    @Test func `a driver that is not ready cannot be checked`() async throws {
        try await withDriver(.legacy) { driver in
            // ready: BoolValue { value: false }
            driver.intercept { $0.method.hasSuffix("/Probe") ? .reply([0x0A, 0]) : nil }
            let report = try await check(driver, .controller)
            #expect(report.exitCode == 2)
            #expect(report.results.isEmpty)
        }
    }

    @Test func `a socket that does not exist is named`() async throws {
        let report = try await DriverCheck(CheckOptions(address: "/tmp/no-such.sock"), suffix: "test").run()
        #expect(report.exitCode == 2)
        #expect(report.problem == "no socket at /tmp/no-such.sock yet")
    }

    @Test func `a node plugin is not checked as a controller`() async throws {
        try await withDriver(.healthNode) { driver in
            let report = try await check(driver, .controller)
            #expect(report.problem?.contains("--side=node") == true)
        }
    }
}
