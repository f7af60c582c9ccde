// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthCore
import Testing

@testable import ControllerCore
@testable import ControllerMonitor
@testable import csi_health_monitor

/// What the controller's page and `/status.json` show.
@Suite struct StatusPageTests {
    private func page(_ page: ControllerPage) -> StatusPage { page.page(links: []) }

    private func facts(_ page: StatusPage, _ title: String) -> [String: String] {
        let facts = page.facts.first { $0.title == title }?.facts ?? []
        return Dictionary(facts.map { ($0.name, $0.value) }) { first, _ in first }
    }

    private func json(_ page: ControllerPage) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(page.json.utf8)) as? [String: Any])
    }

    @Test func `a leader shows its driver, volumes, reports and itself`() {
        let page = page(StatusPageScene.page())
        #expect(page.title == "csi-health-monitor: hostpath.csi.k8s.io")
        #expect(page.summary == "18 of 18 volumes are healthy")
        #expect(page.tone == .good)
        #expect(page.facts.map(\.title) == ["CSI driver", "Volumes", "Reports", "This replica"])
        #expect(
            facts(page, "CSI driver") == [
                "Name": "hostpath.csi.k8s.io", "Version": "v1.17.0", "Connected": "yes",
                "Probed by": "ListVolumes (VolumeCondition, up to CSI 1.12)", "Interval": "5m",
            ]
        )
        #expect(
            facts(page, "Volumes")
                == ["Healthy": "18", "Unhealthy": "0", "Stale": "0", "Unknown": "0", "Last sweep": "42s ago"]
        )
        #expect(
            facts(page, "Reports") == [
                "Events queued": "3, the oldest for 75s", "Statuses queued": "0",
                "status.healthStatus": "supported",
            ]
        )
        #expect(
            facts(page, "This replica") == [
                "Role": "leader", "Lease": "external-health-monitor-leader-hostpath-csi-k8s-io", "Ready": "yes",
                "Up": "123m",
            ]
        )
        #expect(page.tables.map(\.title) == ["Unhealthy PersistentVolumeClaims"])
        #expect(page.footer == "As of 2026-11-29T17:00:00Z. csi-health-monitor 1.2.3 (0fc2dc3).")
    }

    @Test func `unhealthy claims are a table, the worst first, then by name`() throws {
        let claims = [
            StatusPageScene.claim("b"), StatusPageScene.claim("a"),
            StatusPageScene.claim("c", [(.dataLoss, "BadBlocks"), (.degraded, "SlowIO"), (.degraded, "OldDisk")]),
        ]
        let page = page(StatusPageScene.page(health: StatusPageScene.health(claims)))
        #expect(page.summary == "3 of 21 volumes are unhealthy")
        #expect(page.tone == .bad)
        let table = try #require(page.tables.last)
        #expect(
            table.rows == [
                ["default", "c", "DataLoss, Degraded", "BadBlocks, SlowIO, OldDisk", "5m"],
                ["default", "a", "Degraded", "SlowIO", "5m"], ["default", "b", "Degraded", "SlowIO", "5m"],
            ]
        )
        #expect(table.omitted == 0)
    }

    @Test func `in an outage the page is bounded and counts the claims that it leaves out`() throws {
        let reason = String(repeating: "\"", count: VolumeHealthCondition.maximumReasonBytes)
        let conditions = (0..<16).map { (VolumeHealthCondition.Status.inaccessible, "\($0)" + reason) }
        let claims = (0..<5000).map { StatusPageScene.claim("claim-\($0)", conditions) }
        let scene = StatusPageScene.page(health: StatusPageScene.health(claims))
        let html = StatusPageScene.html(scene)
        #expect(html.contains("<p>and 4900 more</p>"))
        #expect(html.utf8.count < 4_000_000)
        let json = try json(scene)
        let shown = try #require(json["unhealthyClaims"] as? [String: Any])
        #expect((shown["items"] as? [Any])?.count == 100)
        #expect(shown["omitted"] as? Int == 4900)
    }

    @Test func `a standby refers to the leader and shows no volumes`() throws {
        let scene = StatusPageScene.page(health: nil)
        let page = page(scene)
        #expect(page.summary == "This replica is a standby. The leader shows the health of the volumes.")
        #expect(page.tables.isEmpty)
        #expect(page.facts.map(\.title) == ["CSI driver", "This replica"])
        #expect(facts(page, "This replica")["Role"] == "standby")
        let json = try json(scene)
        #expect((json["replica"] as? [String: Any])?["role"] as? String == "standby")
        for name in ["volumes", "reports", "unhealthyClaims"] { #expect(json[name] == nil) }
    }

    @Test func `before the driver is identified nothing is said about its volumes`() {
        var scene = StatusPageScene.page(health: nil)
        scene.snapshot.lease = nil
        scene.readiness.isDriverIdentified = false
        let page = page(scene)
        #expect(page.summary == "The health of the volumes is not known yet")
        #expect(page.tone == .bad)
        #expect(facts(page, "This replica")["Role"] == "not a candidate yet")
        #expect(
            page.tables.first?.rows == [["driver-connected", "", "the CSI driver has not been identified yet"]]
        )
        scene.hasLeaderElection = false
        #expect(facts(self.page(scene), "This replica")["Role"] == "without leader election")
    }

    @Test func `checks that fail come first`() throws {
        var scene = StatusPageScene.page()
        scene.readiness.monitor?.calls = .init(age: .seconds(90), reason: "ListVolumes: Unavailable")
        let page = page(scene)
        #expect(page.summary == "This replica is not able to report")
        #expect(page.tables.map(\.title) == ["Problems", "Unhealthy PersistentVolumeClaims"])
        #expect(page.tables.first?.rows == [["last-sweep", "90s", "ListVolumes: Unavailable"]])
        let checks = try #require(try json(scene)["checks"] as? [[String: Any]])
        let check = try #require(checks.first { $0["name"] as? String == "last-sweep" })
        #expect(check["ok"] as? Bool == false)
        #expect(check["since"] as? String == "2026-11-29T16:58:30Z")
        #expect(check["reason"] as? String == "ListVolumes: Unavailable")
    }

    @Test func `recent errors come last, the latest first`() throws {
        var scene = StatusPageScene.page()
        #expect(try json(scene)["recentErrors"] as? [String] == [])
        let now = StatusPageScene.now
        let refused = RecentErrors.Entry(
            message: "Failed to record event, retrying",
            detail: "create events default: 403",
            first: now - 3600,
            last: now - 42,
            count: 7
        )
        let lost = RecentErrors.Entry(
            message: "Lost leadership",
            detail: "",
            first: now - 600,
            last: now - 600,
            count: 1
        )
        scene.recentErrors = [refused, lost]
        let page = page(scene)
        // An error of the past changes nothing.
        #expect(page.summary == "18 of 18 volumes are healthy")
        #expect(page.tables.map(\.title) == ["Unhealthy PersistentVolumeClaims", "Recent errors"])
        let rows: [[String]] = [
            ["42s ago", "7", "Failed to record event, retrying", "create events default: 403"],
            ["10m ago", "1", "Lost leadership", ""],
        ]
        #expect(page.tables.last?.rows == rows)
        let errors = try #require(try json(scene)["recentErrors"] as? [[String: Any]])
        func texts(_ name: String) -> [String] { errors.compactMap { $0[name] as? String } }
        #expect(texts("error") == ["Failed to record event, retrying", "Lost leadership"])
        #expect(errors.compactMap { $0["count"] as? Int } == [7, 1])
        #expect(texts("last") == ["2026-11-29T16:59:18Z", "2026-11-29T16:50:00Z"])
        #expect(texts("first") == ["2026-11-29T16:00:00Z", "2026-11-29T16:50:00Z"])
        #expect(texts("reason") == ["create events default: 403"])
    }

    @Test(arguments: [
        (1, 1, 0, "1 of 2 volumes is healthy, none is unhealthy", StatusPage.Tone.plain),
        (0, 1, 0, "0 of 1 volumes are healthy, none is unhealthy", .plain),
        (5, 1, 2, "5 of 8 volumes are healthy, 2 are stale", .bad),
        (1, 0, 0, "1 of 1 volumes is healthy", .good), (0, 0, 0, "The driver has no PersistentVolumes", .plain),
    ])
    func `volumes whose health is not known do not count as healthy`(
        healthy: Int,
        unknown: Int,
        stale: Int,
        summary: String,
        tone: StatusPage.Tone
    ) {
        var health = StatusPageScene.health(healthy: healthy)
        (health.unknownVolumes, health.staleVolumes) = (unknown, stale)
        let page = page(StatusPageScene.page(health: health))
        #expect(page.summary == summary)
        #expect(page.tone == tone)
    }

    @Test func `a driver without health and one that is suspected are shown`() {
        var health = StatusPageScene.health()
        health.method = .init(name: "none", generation: "none")
        health.isAbsenceSuspected = true
        health.listProblem = "foreign_ids"
        health.isStatusSupported = false
        let page = page(StatusPageScene.page(health: health))
        #expect(facts(page, "CSI driver")["Probed by"] == "no RPC: the driver reports no health")
        #expect(facts(page, "CSI driver")["Mass absence"] == "suspected")
        #expect(facts(page, "CSI driver")["List"] == "foreign_ids")
        #expect(facts(page, "Reports")["status.healthStatus"] == "not supported")
    }

    @Test func `an outage of the driver is on the page and in JSON`() throws {
        var health = StatusPageScene.health()
        let slow = VolumeHealthCondition(status: .degraded, reason: "SlowIO", message: "")
        let outage = DriverOutage(
            since: .zero,
            unhealthy: 8,
            volumes: 20,
            conditions: [.init(identity: slow.identity, volumes: 8)],
            otherConditions: 0,
            common: []
        )
        health.outage = (outage, .seconds(600))
        let scene = StatusPageScene.page(health: health)
        let summary = "8 of 20 volumes unhealthy since 2026-11-29T16:50:00Z: Degraded (SlowIO) 8"
        #expect(facts(page(scene), "CSI driver")["Outage"] == summary)
        let json = try #require(try json(scene)["driver"] as? [String: Any])
        #expect((json["outage"] as? [String: Any])?["since"] as? String == "2026-11-29T16:50:00Z")
        #expect((json["outage"] as? [String: Any])?["summary"] as? String == summary)
    }

    @Test(arguments: StatusPageScene.hostileTexts) func `a hostile text is the same text in JSON`(text: String) throws {
        let json = try json(StatusPageScene.page(text: text))
        #expect((json["driver"] as? [String: Any])?["name"] as? String == text)
        let errors = try #require(json["recentErrors"] as? [[String: Any]])
        for name in ["error", "reason"] { #expect(errors.first?[name] as? String == text) }
        let claims = try #require((json["unhealthyClaims"] as? [String: Any])?["items"] as? [[String: Any]])
        #expect(claims.first?["name"] as? String == text)
        let conditions = try #require(claims.first?["conditions"] as? [[String: String]])
        #expect(conditions == [["status": "DataLoss", "reason": text]])
    }

    /// They show neither the driver's messages nor more claims than the metrics.
    @Test func `the driver's messages are neither on the page nor in JSON`() {
        let scene = StatusPageScene.page(health: StatusPageScene.health([StatusPageScene.claim("a")]))
        #expect(!StatusPageScene.html(scene).contains("not on the page"))
        #expect(!scene.json.contains("not on the page"))
    }

    @Test func `JSON has the facts of the page`() throws {
        let json = try json(StatusPageScene.page(health: StatusPageScene.health([StatusPageScene.claim("a")])))
        #expect(json["time"] as? String == "2026-11-29T17:00:00Z")
        let volumes = try #require(json["volumes"] as? [String: Any])
        #expect(volumes["healthy"] as? Int == 18)
        #expect(volumes["unhealthy"] as? Int == 1)
        #expect(volumes["lastSweep"] as? String == "2026-11-29T16:59:18Z")
        let driver = try #require(json["driver"] as? [String: Any])
        #expect(driver["generation"] as? String == "legacy")
        #expect(driver["intervalSeconds"] as? Int == 300)
        let events = try #require((json["reports"] as? [String: Any])?["events"] as? [String: Int])
        #expect(events == ["queued": 3, "oldestSeconds": 75])
    }
}
