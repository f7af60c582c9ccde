// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime
@testable import csi_health_monitor

struct ReadinessTests {
    /// Of a leader without problems.
    private var readiness = Readiness(
        isDriverIdentified: true,
        monitor: MonitorStatus(
            isLeading: true,
            watches: [
                .init(resource: "persistentvolumes", silence: .seconds(20)),
                .init(resource: "persistentvolumeclaims", silence: .seconds(1)),
            ],
            termAge: .seconds(3600),
            sweepAge: .seconds(200),
            sweepInterval: .seconds(300)
        ),
        missingRules: [:],
        leaseHolder: true
    )

    private func failures() -> [String: String] {
        var failures: [String: String] = [:]
        for check in readiness.checks { failures[check.name] = check.failure?.reason }
        return failures
    }

    @Test mutating func `a leader without problems is ready`() {
        #expect(readiness.isReady)
        #expect(
            readiness.checks.map(\.name) == [
                "driver-connected", "driver-supported", "api-server", "watches", "permissions", "last-sweep", "lease",
            ]
        )
        #expect(readiness.checks.last?.note == "leader")
    }

    @Test mutating func `a standby without caches is ready`() {
        readiness.leaseHolder = false
        readiness.monitor?.isLeading = false
        readiness.monitor?.watches = []
        readiness.monitor?.termAge = nil
        readiness.monitor?.sweepAge = nil
        #expect(readiness.isReady)
        #expect(readiness.checks.compactMap(\.note) == ["standby without caches", "not leading", "standby"])
    }

    @Test mutating func `a driver that has never been identified fails since the first attempt`() {
        readiness.isDriverIdentified = false
        readiness.driver = .init(age: .seconds(60), reason: "no socket at /run/csi/socket")
        readiness.monitor = nil
        readiness.leaseHolder = nil
        #expect(failures() == ["driver-connected": "no socket at /run/csi/socket"])
        #expect(readiness.checks.first?.failure?.age == .seconds(60))
        // The Lease has the driver's name: whether this replica is a candidate is not known yet.
        #expect(readiness.checks.last?.note == nil)
    }

    @Test mutating func `a driver that has not responded yet fails since the process started`() {
        readiness.isDriverIdentified = false
        readiness.uptime = .seconds(3)
        #expect(failures() == ["driver-connected": "the CSI driver has not been identified yet"])
        #expect(readiness.checks.first?.failure?.age == .seconds(3))
    }

    /// If no replica can acquire the Lease, none leads: that must not look like a standby.
    @Test mutating func `a candidate that cannot acquire the Lease is not ready`() {
        readiness.leaseHolder = false
        readiness.monitor?.isLeading = false
        readiness.leaseProblem = .init(age: .seconds(15), reason: "failed to acquire lease: 403")
        #expect(!readiness.isReady)
        #expect(failures() == ["lease": "failed to acquire lease: 403"])
    }

    @Test mutating func `a driver that is unavailable is a failure, on a standby too`() {
        readiness.monitor?.isLeading = false
        readiness.monitor?.driver = .init(age: .seconds(5), reason: "connection refused")
        #expect(failures() == ["driver-connected": "connection refused"])
    }

    @Test mutating func `failing calls, and no sweep in two intervals, are failures`() {
        readiness.monitor?.sweepAge = .seconds(600)
        #expect(readiness.isReady)
        readiness.monitor?.sweepAge = .seconds(601)
        #expect(failures()["last-sweep"]?.contains("two intervals") == true)
        readiness.monitor?.sweepAge = nil
        #expect(failures()["last-sweep"]?.contains("two intervals") == true)
        readiness.monitor?.termAge = .seconds(10)
        #expect(readiness.isReady)
        readiness.monitor?.calls = .init(age: .seconds(5), reason: "array unreachable")
        #expect(failures() == ["last-sweep": "array unreachable"])
    }

    @Test mutating func `a watch that fails, is silent or has not listed is a failure`() {
        readiness.monitor?.watches[1].failure = .init(age: .seconds(9), reason: "401")
        #expect(readiness.isReady)
        readiness.monitor?.watches[1].failure = .init(age: .seconds(10), reason: "401")
        #expect(failures() == ["watches": "401"])
        readiness.monitor?.watches[1].failure = nil
        readiness.monitor?.watches[1].silence = .seconds(660)
        #expect(readiness.isReady)
        readiness.monitor?.watches[1].silence = .seconds(661)
        #expect(failures() == ["watches": "no event or bookmark of persistentvolumeclaims"])
        readiness.monitor?.watches[1].silence = nil
        #expect(failures() == ["watches": "the list of persistentvolumeclaims is not complete"])
    }

    @Test mutating func `missing RBAC rules and a Lease that is not renewed are failures`() {
        readiness.missingRules = ["{b}": .seconds(1), "{a}": .seconds(7)]
        readiness.leaseProblem = .init(age: .seconds(36), reason: "not renewed")
        #expect(failures() == ["permissions": "missing RBAC rules: {a}, {b}", "lease": "not renewed"])
        #expect(readiness.checks[4].failure?.age == .seconds(7))
        #expect(readiness.checks[6].failure?.age == .seconds(36))
    }

    @Test mutating func `an API server that refuses the token or does not respond is a failure, on a standby too`() {
        readiness.monitor?.isLeading = false
        readiness.apiServer = .init(age: .seconds(9), reason: "get leases: 401 Unauthorized")
        #expect(readiness.isReady)
        readiness.apiServer?.age = .seconds(10)
        #expect(failures() == ["api-server": "get leases: 401 Unauthorized"])
    }

    @Test mutating func `a missing optional RBAC rule is a note`() {
        readiness.missingOptionalRules = ["{b}", "{a}"]
        #expect(readiness.isReady)
        #expect(readiness.checks[4].note == "without {a}, {b}")
    }

    @Test mutating func `the driver's problems are one line`() {
        readiness.monitor?.driverProblem = "first\nsecond"
        readiness.driverProblemAge = .seconds(8)
        #expect(failures() == ["driver-supported": "first; second"])
        #expect(readiness.checks[1].failure?.age == .seconds(8))
    }
}
