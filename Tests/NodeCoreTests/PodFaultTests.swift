// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

/// The faults of the agent of external-health-monitor (v0.2.0), as far as a pure core can show them:
///
/// | Fault | The agent |
/// |---|---|
/// | 1 | called before the pod's volumes were mounted |
/// | 2 | reported pods that were ending or had ended |
/// | 3 | used the paths of a deleted pod for the next one of its name |
/// | 4 | called twice for a pod that it saw twice |
/// | 5 | lost pods at a restart, and claims that were not bound yet (`ClaimResolutionTests`) |
/// | 6 | reported the recovery of one volume for another |
/// | 7 | reported conditions and recoveries at every call |
/// | 8 | called so many volumes per interval, not each volume once |
/// | 9 | ended where its driver was slow, lacked a capability or went away (`AgentFaultTests` of NodeMonitor) |
/// | 10 | watched the whole cluster (`NodeMonitorTests`) |
/// | 11 | did not name the volume |
/// | 12 | did not know block, inline and generic ephemeral volumes (`VolumePathsTests`) |
struct PodFaultTests {
    @Sendable static func brokenVolume(_: NodeProbe, _: Duration) -> (NodeProbeOutcome, Duration) {
        (.unhealthy(.inaccessible), .milliseconds(5))
    }

    @Test func `fault 1, nothing is probed before the pod has started`() {
        var node = Simulation()
        node.respond = Self.brokenVolume
        node.list(.named("a", started: false))
        node.run(for: .seconds(1200))
        #expect(node.calls.isEmpty)
        node.apply(.named("a"))
        node.run(for: .seconds(60))
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
    }

    @Test(arguments: [\NodePod.hasEnded, \NodePod.isDeleting, \NodePod.isMirror])
    func `fault 2, a pod that ends or is deleted is not probed and not reported`(
        flag: any WritableKeyPath<NodePod, Bool> & Sendable
    ) {
        var node = Simulation()
        node.list(.named("a"))
        node.run(for: .seconds(120))
        let calls = node.calls.count
        node.respond = Self.brokenVolume
        node.apply(NodePod.named("a").with { $0[keyPath: flag] = true })
        // An older version of the pod, from another API server.
        node.apply(.named("a"))
        node.run(for: .seconds(600))
        #expect(node.calls.count == calls)
        #expect(node.events.isEmpty)
    }

    @Test(arguments: [true, false])
    func `fault 2, a response that comes after the pod's end is dropped`(isReplaced: Bool) {
        var node = Simulation()
        node.list(.named("a"))
        node.respond = { _, _ in (.unhealthy(.inaccessible), .seconds(10)) }
        while node.underWay.isEmpty { node.run(for: .seconds(1)) }
        if isReplaced {
            node.apply(.named("a", uid: "other", started: false))
        } else {
            node.state.remove(podUID: "uid-a")
        }
        node.run(for: .seconds(600))
        #expect(node.calls.count == 1)
        #expect(node.events.isEmpty)
        #expect(node.state.snapshot(at: node.now).unhealthy.isEmpty)
    }

    @Test func `fault 2, the report of a pod that ends is forgotten without a recovery`() {
        var node = Simulation()
        node.list(.named("a"))
        node.respond = Self.brokenVolume
        node.run(for: .seconds(120))
        node.apply(NodePod.named("a").with { $0.isDeleting = true })
        node.run(for: .seconds(7200))
        #expect(node.events.count == 1)
    }

    @Test func `fault 3, a pod with another uid has its own paths and its own reports`() {
        var node = Simulation()
        node.list()
        node.apply(.named("web-0", uid: "uid-1"))
        node.respond = Self.brokenVolume
        node.run(for: .seconds(120))
        node.apply(.named("web-0", uid: "uid-2"))
        node.run(for: .seconds(120))
        #expect(node.events.map(\.report.target.podUID) == ["uid-1", "uid-2"])
        for call in node.calls {
            #expect(call.probe.publishPath.contains("/pods/\(call.probe.key.podUID)/"))
        }
    }

    @Test func `fault 4, a pod that is seen again is not probed more often`() {
        var node = Simulation()
        node.list(.named("a"))
        for _ in 0..<60 {
            node.list(.named("a"))
            node.run(for: .seconds(10))
        }
        #expect((9...11).contains(node.calls.count))
    }

    @Test func `fault 5, a restart probes every pod again`() {
        let pods = (0..<110).map { NodePod.named("p\($0)", claims: ["c\($0)"]) }
        var node = Simulation(capabilities: nil)
        node.state.beginRelist()
        for pod in pods { node.apply(pod) }
        node.state.endRelist(at: node.now)
        node.run(for: .seconds(5))
        node.reconnect()
        node.run(for: .seconds(120))
        #expect(Set(node.calls.map(\.probe.key.podUID)).count == 110)
    }

    @Test func `fault 6, the recovery of one volume is not reported for another`() {
        var node = Simulation()
        node.list()
        node.apply(.named("a", claims: ["x", "y"]))
        node.respond = { probe, _ in
            (probe.volumeHandle == "h-x" ? .unhealthy(.inaccessible) : .healthy, .milliseconds(5))
        }
        node.run(for: .seconds(1200))
        #expect(node.events.map(\.report.target.names) == [["x"]])
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(1200))
        #expect(node.events.map(\.report.target.names) == [["x"], ["x"]])
        #expect(node.events.last?.state.isClear == true)
    }

    @Test(.tags(.rule8)) func `fault 7, a condition and its recovery are one event each`() {
        var node = Simulation()
        node.list()
        node.apply(.named("a"))
        node.respond = Self.brokenVolume
        node.run(for: .seconds(3 * 3600))
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
        // Every 30 minutes the count is raised.
        #expect((6...7).contains(node.events.count))
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(3 * 3600))
        #expect(node.transitions(pod: "a") == [[.inaccessible], []])
    }

    @Test(arguments: [1, 10, 110])
    func `fault 8, each volume is probed once per interval, however many there are`(count: Int) {
        var node = Simulation()
        node.state.beginRelist()
        for number in 0..<count { node.apply(.named("p\(number)", claims: ["c\(number)"])) }
        node.state.endRelist(at: node.now)
        node.run(for: .seconds(599))
        for number in 0..<count { #expect(node.calls(pod: "p\(number)").count == 10) }
    }

    @Test(.tags(.rule7)) func `fault 11, the text names the volume and the claim`() {
        var node = Simulation()
        node.list()
        node.apply(NodePod.named("a").with { $0.volumes = [PodVolume(name: "www", source: .claim("data"))] })
        node.respond = { _, _ in (.unhealthy(.legacy), .milliseconds(5)) }
        node.run(for: .seconds(60))
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(120))
        let texts = node.events.map { $0.report.target.message(for: $0.state) }
        #expect(
            texts == [
                "Volume www (claim data): The volume isn't mounted",
                "Volume www (claim data): The Volume returns to the healthy state",
            ]
        )
    }

    @Test func `fault 11, a long text of the driver does not displace the names`() {
        let volume = NodeVolume(
            key: NodeVolumeKey(podUID: "u", volume: "scratch", isInline: true),
            namespace: "default",
            podName: "a",
            driver: driverName,
            volumeHandle: "h",
            names: ["scratch"]
        )
        let message = String(repeating: "ä", count: 512)
        let long = VolumeHealthCondition(status: .degraded, reason: "Long", message: message)
        let text = volume.message(for: VolumeState([long]))
        #expect(text.hasPrefix("Volume scratch: Degraded (Long): ä"))
        #expect((1022...1024).contains(text.utf8.count))
    }

    @Test func `fault 12, inline and generic ephemeral volumes are probed`() {
        var node = Simulation()
        node.resolve = {
            $0.ownerUID == "uid-a" ? .volume(.of($0.name)) : .foreign(reason: "")
        }
        node.list(
            NodePod.named("a").with {
                $0.volumes = [
                    PodVolume(name: "scratch", source: .inline(driver: driverName)),
                    PodVolume(name: "cache", source: .genericEphemeral),
                ]
            }
        )
        node.run(for: .seconds(60))
        #expect(node.lookups == [ClaimLookup(namespace: "default", name: "a-cache", ownerUID: "uid-a")])
        let inline = VolumePaths.inlineVolumeHandle(podUID: "uid-a", volume: "scratch")
        #expect(Set(node.calls.map(\.probe.volumeHandle)) == [inline, "h-a-cache"])
    }

    @Test(.tags(.rule11)) func `two volumes of a pod with one claim are one volume with both names`() {
        var node = Simulation()
        node.list()
        let names = ["b", "a"].map { PodVolume(name: $0, source: .claim("data")) }
        node.apply(NodePod.named("p").with { $0.volumes = names })
        node.respond = Self.brokenVolume
        node.run(for: .seconds(600))
        #expect(node.lookups.count == 1)
        #expect((9...11).contains(node.calls.count))
        #expect(node.events.map(\.report.target.names) == [["a", "b"]])
    }

    @Test(.tags(.rule11)) func `two pods with one volume are probed on their own paths, never at once`() {
        var node = Simulation()
        node.list(.named("a"), .named("b"))
        // Calls that take longer than half of the interval would overlap.
        node.respond = { _, _ in (.healthy, .seconds(28)) }
        for _ in 0..<1200 {
            node.run(for: .seconds(1))
            #expect(node.underWay.count <= 1)
        }
        #expect(node.calls(pod: "a").count >= 15)
        #expect(node.calls(pod: "b").count >= 15)
        #expect(Set(node.calls.map(\.probe.publishPath)).count == 2)
        #expect(Set(node.calls.map(\.probe.stagingPath)).count == 1)
    }

    @Test func `pods that are missing in a new list are gone`() {
        var node = Simulation()
        node.list(.named("a", claims: ["x"]), .named("b", claims: ["y"]))
        node.run(for: .seconds(60))
        let calls = node.calls(pod: "a").count
        node.list(.named("b", claims: ["y"]))
        node.run(for: .seconds(600))
        #expect(node.calls(pod: "a").count == calls)
        #expect(node.calls(pod: "b").count >= 10)
    }
}
