// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Testing

@testable import NodeCore
@testable import NodeMonitor
@testable import csi_health_monitor

@Suite struct AgentReadinessTests {
    private var readiness = AgentReadiness(monitor: .fixture([.fixture("a.csi"), .fixture("b.csi")]))

    private func failures() -> [String: String] {
        var failures: [String: String] = [:]
        for check in readiness.checks { failures[check.name] = check.failure?.reason }
        return failures
    }

    private var note: String? { readiness.checks.first?.note }

    @Test func `an agent without problems is ready`() {
        #expect(readiness.isReady)
        #expect(readiness.checks.map(\.name) == ["drivers", "api-server", "pods", "permissions"])
        #expect(readiness.checks.allSatisfy { $0.note == nil })
    }

    @Test mutating func `before the monitor was created it is not ready`() {
        readiness.monitor = nil
        #expect(failures() == ["drivers": "the monitor has not started yet"])
    }

    @Test mutating func `one driver of several that fails is a note`() {
        readiness.monitor = .fixture([.fixture("a.csi", failure: "no socket"), .fixture("b.csi")])
        #expect(readiness.isReady)
        #expect(note == "a.csi: not connected: no socket")
    }

    @Test mutating func `it is not ready when every driver fails`() {
        readiness.monitor = .fixture([
            .fixture("a.csi", failure: "no socket"), .fixture("b.csi", problem: "no volume is found"),
            .fixture("c.csi", isSupported: false, problem: "no capability"),
        ])
        let check = readiness.checks[0]
        #expect(
            check.failure?.reason == "a.csi: not connected: no socket, b.csi: no volume is found, c.csi: no capability"
        )
        #expect(check.failure?.age == .seconds(60))
    }

    @Test mutating func `a driver whose calls hang is a note, even if it is the only one`() {
        readiness.monitor = .fixture([.fixture("a.csi", isHanging: true)])
        #expect(readiness.isReady)
        #expect(note == "a.csi: its calls time out, one call per interval is made")
    }

    @Test mutating func `a driver that has just lost its connection is a note`() {
        var driver = NodeMonitorStatus.Driver.fixture("a.csi", failure: "no socket")
        driver.failure?.age = ReadinessChecks.tolerance - .seconds(1)
        readiness.monitor = .fixture([driver])
        #expect(readiness.isReady)
        driver.failure?.age = ReadinessChecks.tolerance
        readiness.monitor = .fixture([driver])
        #expect(!readiness.isReady)
    }

    @Test mutating func `drivers that report no health are a note`() {
        readiness.monitor = .fixture([.fixture("a.csi", isSupported: false, problem: "no capability")])
        #expect(readiness.isReady)
        #expect(note == "a.csi: no capability")
    }

    @Test mutating func `a driver that is not identified is named by its socket`() {
        readiness.monitor = .fixture([.fixture(nil, failure: "no socket", isSupported: nil)])
        #expect(failures() == ["drivers": "/csi/csi.sock: not connected: no socket"])
    }

    @Test mutating func `a node without drivers is ready`() {
        readiness.monitor = .fixture([])
        #expect(readiness.isReady)
        #expect(note == "no CSI driver was found")
    }

    @Test mutating func `a registration directory that cannot be read fails`() {
        readiness.monitor = .fixture([], discoveryProblem: "mount it")
        #expect(failures() == ["drivers": "mount it"])
    }

    @Test mutating func `the watch of pods must be complete, open and not silent`() {
        readiness.monitor?.watch.silence = nil
        #expect(failures() == ["pods": "the list of pods is not complete"])
        readiness.monitor?.watch = .init(silence: ReadinessChecks.silenceLimit + .seconds(1), failure: nil)
        #expect(failures() == ["pods": "no event or bookmark of pods"])
        let failure = NodeMonitorStatus.Failure(age: ReadinessChecks.tolerance, reason: "403")
        readiness.monitor?.watch = .init(silence: .zero, failure: failure)
        #expect(failures() == ["pods": "403"])
        readiness.monitor?.watch.failure?.age -= .seconds(1)
        #expect(readiness.isReady)
    }

    @Test mutating func `the API server and missing rules fail`() {
        readiness.apiServer = ReadinessFailure(age: ReadinessChecks.tolerance, reason: "no response")
        readiness.missingRules = ["get events": .seconds(5), "create events": .seconds(7)]
        #expect(
            failures() == ["api-server": "no response", "permissions": "missing RBAC rules: create events, get events"]
        )
        #expect(readiness.checks.last?.failure?.age == .seconds(7))
    }

    @Test func `the page lists each driver with its state and its volumes`() {
        let page = DriversPage(
            status: NodeMonitorStatus.fixture(
                [
                    .fixture("a.csi"), .fixture("b.csi", isHanging: true),
                    .fixture(nil, failure: "no socket", isSupported: nil),
                ],
                discoveryProblem: "mount it"
            ),
            health: NodeHealthSnapshot(
                drivers: [
                    .fixture(
                        "a.csi",
                        counts: .init(healthy: 4, unhealthy: 1, waiting: 2),
                        storage: StorageHealth([
                            .init(status: .degraded, reason: "PathsDown", message: "2 of 4 paths respond"),
                            .init(status: .unreachable, reason: "NoRoute", message: ""),
                        ])
                    )
                ],
                unhealthy: [],
                unresponsive: [],
                unresolvedClaims: 0,
                pods: 3
            )
        )
        #expect(
            page.text == """
                mount it
                a.csi 1.2: ok, NodeGetVolumeHealth, 4 healthy, 1 unhealthy, 2 waiting, \
                storage StorageUnreachable (NoRoute), StorageDegraded (PathsDown)
                b.csi 1.2: its calls time out, one call per interval is made, NodeGetVolumeHealth
                /csi/csi.sock: not connected: no socket
                """
        )
    }
}
