// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import DriverCheck
import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

/// The created volume is deleted however the check ends.
@Suite(.timeLimit(.minutes(50))) struct InterruptionTests {
    @Test func `an interrupted check deletes its volume`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 3, 11, 12])) { driver in
            driver.deviate(.hangsOnGet)
            let report = try await check(driver, .controller) {
                $0.createsVolume = true
            } until: {
                await driver.journal.wait(for: "ControllerGetVolume", count: 1)
            }
            #expect(report.exitCode == 2)
            #expect(report.problem == "interrupted")
            #expect(report.leftover == nil)
            #expect(driver.volumes.map(\.id) == volumes.map(\.id))
        }
    }

    /// The driver has created the volume, and the response is lost.
    @Test func `a volume whose creation was interrupted is created again and deleted`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 16])) { driver in
            let isFirst = Atomic(true)
            driver.intercept { [weak driver] call in
                guard call.method.hasSuffix("/CreateVolume"),
                    isFirst.exchange(false, ordering: .sequentiallyConsistent)
                else { return nil }
                driver?.set(health: [], ofVolume: "id-of-\(call.name)")
                return .never
            }
            let report = try await check(driver, .controller) {
                $0.createsVolume = true
            } until: {
                await driver.journal.wait(for: "CreateVolume", count: 1)
            }
            #expect(report.problem == "interrupted")
            #expect(report.leftover == nil)
            #expect(driver.journal.calls("CreateVolume").count == 2)
            #expect(driver.volumes.map(\.id) == volumes.map(\.id))
        }
    }

    @Test func `a volume that cannot be deleted is named`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 16])) { driver in
            driver.deviate(.deleteFails)
            let report = try await check(driver, .controller) { $0.createsVolume = true }
            #expect(report.leftover?.contains("\"id-of-csi-health-monitor-check-test\"") == true)
            #expect(report.leftover?.contains("delete it by hand") == true)
            #expect(report.text.contains("LEFT BEHIND: "))
            // One by the check, and five attempts at its end.
            #expect(driver.journal.calls("DeleteVolume").count == 6)
        }
    }

    /// The driver still serves a call for the volume, and serializes them.
    @Test func `a volume whose deletion is ABORTED at first is deleted`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 16])) { driver in
            let attempts = Atomic(0)
            driver.intercept { call in
                guard call.method.hasSuffix("/DeleteVolume"),
                    attempts.add(1, ordering: .sequentiallyConsistent).newValue < 5
                else { return nil }
                return .fail(.aborted, "an operation for the volume is pending")
            }
            let report = try await check(driver, .controller) { $0.createsVolume = true }
            #expect(report.leftover == nil)
            #expect(driver.volumes.map(\.id) == volumes.map(\.id))
        }
    }

    @Test func `a check that finds errors deletes its volume too`() async throws {
        try await withDriver(.init(controllerCapabilities: [1, 16])) { driver in
            driver.deviate(.failsOnGet)
            let report = try await check(driver, .controller) { $0.createsVolume = true }
            #expect(report.found == ["H021"])
            #expect(driver.volumes.map(\.id) == volumes.map(\.id))
        }
    }
}
