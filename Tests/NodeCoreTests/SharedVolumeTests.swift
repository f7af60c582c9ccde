// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

/// Volumes that several pods use, whose calls have no response for a while.
struct SharedVolumeTests {
    /// Pods with one volume that has hung for three hours, and one with another volume, which shows that the driver
    /// does not hang.
    private static func hangingNode(pods: Int) -> Simulation {
        var node = Simulation()
        node.respond = { probe, _ in
            let hangs = probe.volumeHandle == "h-data"
            return hangs ? (.failed(.deadlineExceeded), HangingTests.timeout) : (.healthy, .milliseconds(5))
        }
        node.state.beginRelist()
        for number in 0..<pods { node.apply(.named("p\(number)")) }
        node.apply(.named("other", claims: ["other"]))
        node.state.endRelist(at: node.now)
        node.run(for: .seconds(3 * 3600))
        return node
    }

    @Test(.tags(.rule10), arguments: [2, 3, 20])
    func `a volume that responds on one path again is probed on all within an interval`(pods: Int) {
        var node = Self.hangingNode(pods: pods)
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        let before = node.calls.count
        while !node.calls[before...].contains(where: { $0.probe.volumeHandle == "h-data" }) {
            node.run(for: .seconds(1))
        }
        node.run(for: .seconds(62))
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == pods + 1)
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.backingOff == 0)
    }

    @Test(.tags(.rule10)) func `after a restart of the driver a volume is probed on all paths`() {
        var node = Self.hangingNode(pods: 20)
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.reconnect()
        node.run(for: .seconds(122))
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 21)
    }

    /// Two paths that hang for good beside one that responds again: they do not take a thread of the driver in every
    /// interval.
    @Test(.tags(.rule10)) func `paths that go on hanging back off further`() {
        var node = Self.hangingNode(pods: 3)
        node.respond = { probe, _ in
            let hangs = probe.volumeHandle == "h-data" && probe.key.podUID != "uid-p0"
            return hangs ? (.failed(.deadlineExceeded), HangingTests.timeout) : (.healthy, .milliseconds(5))
        }
        let before = node.calls.count
        node.run(for: .seconds(6 * 3600))
        for pod in ["p1", "p2"] {
            #expect((10...16).contains(node.calls[before...].count { $0.probe.key.podUID == "uid-\(pod)" }), "\(pod)")
        }
        #expect(node.calls[before...].count { $0.probe.key.podUID == "uid-p0" } >= 320)
    }
}
