// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import NodeCore
@testable import NodeMonitor
@testable import csi_health_monitor

/// What the agent's page at `/` shows.
@Suite struct AgentPageTests {
    private static func health(
        _ counts: NodeHealthSnapshot.Counts,
        storage: StorageHealth? = nil,
        unhealthy: [NodeHealthSnapshot.UnhealthyVolume] = [],
        unresponsive: [NodeHealthSnapshot.UnresponsiveVolume] = []
    ) -> NodeHealthSnapshot {
        NodeHealthSnapshot(
            drivers: [.fixture("a.csi", counts: counts, storage: storage)],
            unhealthy: unhealthy,
            unresponsive: unresponsive,
            unresolvedClaims: 2,
            pods: 7
        )
    }

    private static func volume(_ pod: String) -> NodeVolume {
        NodeVolume(
            key: .init(podUID: "uid-\(pod)", volume: "pv", isInline: false),
            namespace: "team",
            podName: pod,
            driver: "a.csi",
            volumeHandle: "h",
            names: ["data"],
            claimName: "claim",
            claimUID: "uid"
        )
    }

    private static func unhealthy(
        _ pod: String,
        _ conditions: VolumeHealthCondition...
    ) -> NodeHealthSnapshot.UnhealthyVolume {
        .init(volume: volume(pod), conditions: conditions, since: .seconds(40))
    }

    private static let degraded = VolumeHealthCondition(status: .degraded, reason: "Slow", message: "not on the page")
    private static let lost = VolumeHealthCondition(status: .dataLoss, reason: "BadBlocks", message: "")

    private func page(
        _ health: NodeHealthSnapshot?,
        drivers: [NodeMonitorStatus.Driver] = [.fixture("a.csi", sweepAge: .seconds(42))]
    ) -> StatusPage {
        let monitor = NodeMonitorStatus.fixture(drivers)
        return AgentPage(
            build: .init(version: "1.2.3", revision: "0fc2dc3", swiftVersion: "6.3"),
            nodeName: "node-1",
            readiness: AgentReadiness(monitor: health == nil ? nil : monitor),
            health: health,
            time: .seconds(100),
            uptime: .seconds(7399),
            now: StatusPageScene.now
        ).page(links: StatusPage.Link.links(to: ["/readyz", "/metrics"]))
    }

    @Test func `a node without problems shows its drivers and itself`() {
        let page = page(Self.health(.init(healthy: 3)))
        #expect(page.title == "csi-health-monitor agent: node-1")
        #expect(page.summary == "3 of 3 volumes are healthy")
        #expect(page.tone == .good)
        #expect(page.tables.map(\.title) == ["CSI drivers"])
        #expect(
            page.tables.first?.rows == [["a.csi", "1.2", "ok", "NodeGetVolumeHealth", "3 healthy", "", "42s ago"]]
        )
        #expect(page.facts.map(\.title) == ["This agent"])
        #expect(
            page.facts.first?.facts.map { [$0.name, $0.value] } == [
                ["Node", "node-1"], ["Pods", "7"], ["Claims without a known volume", "2"], ["Flapping volumes", "0"],
                ["Ready", "yes"], ["Up", "123m"],
            ]
        )
        #expect(page.links.map(\.path) == ["/metrics", "/readyz?verbose"])
        #expect(page.footer == "As of 2026-11-29T17:00:00Z. csi-health-monitor 1.2.3 (0fc2dc3).")
    }

    @Test func `unhealthy volumes are a table, the worst first, and so are those without a response`() {
        let health = Self.health(
            .init(healthy: 1, unhealthy: 2, unknown: 1, unresponsive: 1),
            unhealthy: [Self.unhealthy("b", Self.degraded), Self.unhealthy("c", Self.lost, Self.degraded)],
            unresponsive: [.init(volume: Self.volume("d"), age: .seconds(75))]
        )
        let page = page(health)
        #expect(page.summary == "2 of 4 volumes are unhealthy")
        #expect(page.tone == .bad)
        #expect(page.tables.map(\.title) == ["CSI drivers", "Unhealthy volumes", "Volumes without a response"])
        #expect(
            page.tables[1].rows == [
                ["team", "c", "data", "claim", "a.csi", "DataLoss, Degraded", "BadBlocks, Slow", "60s"],
                ["team", "b", "data", "claim", "a.csi", "Degraded", "Slow", "60s"],
            ]
        )
        #expect(page.tables[2].rows == [["team", "d", "data", "claim", "a.csi", "75s"]])
        #expect(!page.html.contains("not on the page"))
    }

    @Test func `the storage of a driver is shown, and is no good news`() {
        let storage = StorageHealth([.init(status: .degraded, reason: "PathsDown", message: "not on the page")])
        let page = page(Self.health(.init(healthy: 3), storage: storage))
        #expect(
            page.summary == "3 of 3 volumes are healthy, the storage of a.csi is StorageDegraded (PathsDown)"
        )
        #expect(page.tone == .bad)
        #expect(page.tables.first?.rows.first?[5] == "StorageDegraded (PathsDown)")
        #expect(!page.html.contains("not on the page"))
    }

    @Test(arguments: [
        (NodeHealthSnapshot.Counts(), "The pods of this node use no volumes of its CSI drivers", StatusPage.Tone.plain),
        (.init(healthy: 1, waiting: 1), "1 of 2 volumes is healthy, none is unhealthy", .plain),
        (.init(healthy: 5, unknown: 1, unresponsive: 1), "5 of 6 volumes are healthy, 1 is unanswered", .bad),
    ])
    func `volumes whose health is not known do not count as healthy`(
        counts: NodeHealthSnapshot.Counts,
        summary: String,
        tone: StatusPage.Tone
    ) {
        let page = page(Self.health(counts))
        #expect(page.summary == summary)
        #expect(page.tone == tone)
    }

    @Test func `checks that fail come first`() {
        var page = page(nil)
        #expect(page.summary == "The monitor has not started yet")
        #expect(page.tables.map(\.title) == ["Problems", "CSI drivers"])
        page = self.page(Self.health(.init(healthy: 3)), drivers: [.fixture("a.csi", failure: "no socket")])
        #expect(page.summary == "This agent is not able to report")
        #expect(page.tables.first?.rows == [["drivers", "60s", "a.csi: not connected: no socket"]])
        #expect(page.tables[1].rows.first?[2] == "not connected: no socket")
    }

    @Test func `in an outage the page is bounded and counts the volumes that it leaves out`() {
        let reason = String(repeating: "\"", count: VolumeHealthCondition.maximumReasonBytes)
        let conditions = (0..<16).map {
            VolumeHealthCondition(status: .inaccessible, reason: "\($0)" + reason, message: "")
        }
        let volumes = (0..<500).map {
            NodeHealthSnapshot.UnhealthyVolume(volume: Self.volume("pod-\($0)"), conditions: conditions, since: .zero)
        }
        let html = page(Self.health(.init(unhealthy: 500), unhealthy: volumes)).html
        #expect(html.contains("<p>and 400 more</p>"))
        #expect(html.utf8.count < 4_000_000)
    }

    @Test(arguments: StatusPageScene.hostileTexts) func `a hostile text changes no element of the page`(text: String) {
        func html(_ text: String) -> String {
            let condition = VolumeHealthCondition(status: .degraded, reason: text, message: "")
            let volume = NodeHealthSnapshot.UnhealthyVolume(
                volume: Self.volume(text),
                conditions: [condition],
                since: .zero
            )
            let health = Self.health(.init(unhealthy: 1), unhealthy: [volume])
            return page(health, drivers: [.fixture("a.csi", failure: text)]).html
        }
        let (ordinary, hostile) = (html("ordinary"), html(text))
        #expect(hostile.count { $0 == "<" } == ordinary.count { $0 == "<" })
        #expect(hostile.count { $0 == "\"" } == ordinary.count { $0 == "\"" })
        // In the problem, the driver's state, the pod and the reason.
        #expect(hostile.ranges(of: HTML.escaped(text)).count >= 4)
    }
}
