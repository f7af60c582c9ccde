// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import VolumeStatus

@Suite struct StatusTableTests {
    private func scene() -> Scene {
        var scene = Scene()
        scene.claim("orders") { claim in
            claim.healthConditions = [condition(.dataLoss, "BadBlocks", "7 blocks"), condition(.degraded, "SlowIO")]
            claim.healthTransition = Scene.now - 200
        }
        scene.claim("a") { $0.healthConditions = [condition(.degraded, "SlowIO", String(repeating: "x", count: 100))] }
        scene.pod("web-0", claims: ["orders"])
        return scene
    }

    private func lines(_ scene: Scene, _ detail: StatusTable.Detail = .normal, isColored: Bool = false) -> String {
        var table = StatusTable(detail: detail, hasNamespace: true, isColored: isColored)
        return table.lines(scene.report().notHealthy, hasHeader: true, now: Scene.now)
    }

    @Test func `columns are aligned`() {
        let x = String(repeating: "x", count: 77)
        #expect(
            lines(scene()) == """
                NAMESPACE   CLAIM    STATUS     REASON      SINCE       DRIVER      PODS     NODE     MESSAGE
                default     orders   DataLoss   BadBlocks   3m20s       d.example   web-0    node-1   7 blocks (and 1 more)
                default     a        Degraded   SlowIO      <unknown>   d.example   <none>   <none>   \(x)...

                """
        )
    }

    @Test func `wide lines have the volume, the source and the whole message`() {
        let text = lines(scene(), .wide)
        #expect(text.contains("NODE     VOLUME      SOURCE         MESSAGE\n"))
        #expect(text.contains("node-1   pv-orders   healthStatus   7 blocks (and 1 more)\n"))
        #expect(text.contains(String(repeating: "x", count: 100) + "\n"))
    }

    @Test func `the color is that of the severity, and does not change the alignment`() {
        let colored = lines(scene(), isColored: true)
        #expect(colored.contains("\u{1B}[31mDataLoss\u{1B}[0m   BadBlocks"))
        #expect(colored.contains("\u{1B}[33mDegraded\u{1B}[0m   SlowIO"))
        #expect(colored.replacing(/\u{1B}\[[0-9]+m/, with: "") == lines(scene()))
    }

    @Test func `texts of others cannot control the terminal or begin a line`() {
        #expect(printable("a\u{1B}[2Jb\nc\u{9B}d\u{202E}e\u{2028}f é") == "a [2Jb c d e f é")
    }

    @Test func `later lines align with earlier ones`() {
        var table = StatusTable(detail: .normal, hasNamespace: false, isColored: false)
        let rows = scene().report().notHealthy
        let first = table.lines(rows.prefix(1), hasHeader: true, now: Scene.now)
        let second = table.lines(rows.suffix(1), hasHeader: false, now: Scene.now)
        let column = first.split(separator: "\n")[0].firstRange(of: "STATUS")?.lowerBound
        #expect(column.map { first.distance(from: first.startIndex, to: $0) } == 9)
        #expect(second.hasPrefix("a        Degraded   SlowIO"))
    }

    @Test func `more than three pods are shortened, unless the table is wide`() {
        var scene = Scene()
        scene.claim("a") { $0.healthConditions = [condition(.degraded, "SlowIO")] }
        for number in 1...5 { scene.pod("p\(number)", claims: ["a"], node: "n\(number)") }
        #expect(lines(scene).contains("p1,p2,p3 + 2 more...   n1,n2,n3 + 2 more..."))
        #expect(lines(scene, .wide).contains("p1,p2,p3,p4,p5   n1,n2,n3,n4,n5"))
    }
}
