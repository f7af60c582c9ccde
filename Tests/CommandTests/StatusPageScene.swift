// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthCore

@testable import ControllerMonitor
@testable import csi_health_monitor

/// Pages of a controller for the tests.
enum StatusPageScene {
    /// 2026-11-29T17:00:00Z
    static let now = 1_795_971_600.0

    /// Texts that are markup, end strings and attributes, or change the direction of what follows.
    static let hostileTexts = [
        "<script>alert(1)</script>", "</td></tr></table><img src=x onerror=alert(1)>", "\"><svg onload='alert(1)'>",
        "' onmouseover='alert(1)", "</title><style>*{display:none}</style>", "&lt;b&gt; &amp; &#60;", "]]><!--",
        "\u{202E}cba\u{202C}\u{2066}\u{200F}", "שלום", "a\u{0}b\u{7}c\u{1B}[31m\r\nd\te\u{85}\u{2028}", "\\u003c\\",
        "javascript:alert(1)", "{{7*7}}${7*7}", "\u{FEFF}\u{FFFE}\u{E000}\u{10FFFF}",
    ]

    static func health(_ claims: [HealthSnapshot.UnhealthyClaim] = [], healthy: Int = 18) -> HealthSnapshot {
        HealthSnapshot(
            unhealthyClaims: claims,
            healthyVolumes: healthy,
            unhealthyVolumes: claims.count,
            unknownVolumes: 0,
            events: .init(depth: 3, oldest: .seconds(75), adds: 9),
            statuses: .init(depth: 0, oldest: .zero, adds: 2),
            isStatusSupported: true,
            missingCapabilities: nil,
            method: .init(name: "ListVolumes", generation: "legacy")
        )
    }

    static func claim(
        _ name: String,
        namespace: String = "default",
        _ conditions: [(VolumeHealthCondition.Status, String)] = [(.degraded, "SlowIO")],
        age: Duration = .seconds(300)
    ) -> HealthSnapshot.UnhealthyClaim {
        let conditions = conditions.map { VolumeHealthCondition(status: $0, reason: $1, message: "not on the page") }
        return .init(namespace: namespace, name: name, state: VolumeState(conditions), age: age)
    }

    /// A leader without problems.
    static func page(health: HealthSnapshot? = health()) -> ControllerPage {
        ControllerPage(
            build: .init(version: "1.2.3", revision: "0fc2dc3", swiftVersion: "6.3"),
            driverName: "hostpath.csi.k8s.io",
            hasLeaderElection: true,
            snapshot: SidecarSnapshot(
                isDriverConnected: true,
                driverVersion: "v1.17.0",
                lease: .init(name: "external-health-monitor-leader-hostpath-csi-k8s-io", isHeld: health != nil),
                health: health
            ),
            readiness: Readiness(
                isDriverIdentified: true,
                monitor: MonitorStatus(
                    isLeading: health != nil,
                    watches: health == nil ? [] : [.init(resource: "persistentvolumes", silence: .seconds(20))],
                    termAge: health.map { _ in .seconds(3600) },
                    sweepAge: health.map { _ in .seconds(42) },
                    sweepInterval: .seconds(300)
                ),
                missingRules: [:],
                leaseHolder: health != nil
            ),
            uptime: .seconds(7384),
            now: now
        )
    }

    /// A page on which every text from outside is `text`.
    static func page(text: String) -> ControllerPage {
        var page = page(health: health([claim(text, namespace: text, [(.dataLoss, text)])]))
        page.driverName = text
        page.snapshot.driverVersion = text
        page.snapshot.lease?.name = text
        page.readiness.monitor?.driver = .init(age: .seconds(5), reason: text)
        page.recentErrors = [.init(message: text, detail: text, first: now - 60, last: now, count: 1)]
        return page
    }

    static func html(_ page: ControllerPage) -> String {
        page.page(links: [.init(path: "/metrics", text: "/metrics")]).html
    }
}
