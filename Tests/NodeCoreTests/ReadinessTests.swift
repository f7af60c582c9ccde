// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

struct ReadinessTests {
    static let configuration = NodeHealthState.Configuration(writesReadiness: true)

    static func node(
        _ configuration: NodeHealthState.Configuration = configuration,
        _ respond: @escaping (String) -> NodeProbeOutcome
    ) -> Simulation {
        var node = Simulation(configuration)
        node.respond = { probe, _ in (respond(probe.volumeHandle), .milliseconds(5)) }
        node.list()
        return node
    }

    /// What one volume reports, and the status that follows.
    struct Case: Sendable {
        var outcome: NodeProbeOutcome
        var countsLegacy = false
        var status: ReadinessCondition.Status?
        var reason = ""
    }

    static let cases = [
        Case(outcome: .healthy, status: .true, reason: "VolumesHealthy"),
        Case(outcome: .unhealthy(.degraded), status: .true, reason: "VolumesHealthy"),
        Case(outcome: .unhealthy(.legacy), status: .true, reason: "VolumesHealthy"),
        Case(outcome: .unhealthy(.legacy), countsLegacy: true, status: .false, reason: "VolumeConditionAbnormal"),
        Case(outcome: .unhealthy(.inaccessible), status: .false, reason: "MountLost"),
        Case(
            outcome: .unhealthy(.degraded, VolumeHealthCondition(status: .dataLoss, reason: "Lost", message: "")),
            status: .false,
            reason: "Lost"
        ),
        Case(outcome: .unknown(type: 9), status: .true, reason: "VolumesHealthy"),
        Case(outcome: .noCondition, status: .true, reason: "VolumesHealthy"),
        Case(outcome: .failed(.deadlineExceeded)),
        Case(outcome: .failed(.notFound)),
    ]

    @Test(arguments: cases)
    func `the condition follows the health of the volumes`(example: Case) {
        var configuration = Self.configuration
        configuration.legacyConditionsCount = example.countsLegacy
        var node = Self.node(configuration) { $0 == "h-x" ? .healthy : example.outcome }
        node.apply(.named("a", claims: ["x", "data"], gated: true))
        node.run(for: .seconds(600))
        #expect(node.conditions.map(\.condition.status) == (example.status.map { [$0] } ?? []))
        #expect(node.conditions.map(\.condition.reason) == (example.status == nil ? [] : [example.reason]))
    }

    @Test func `a pod that names the condition is probed as soon as it starts`() {
        var node = Self.node { _ in .healthy }
        node.apply(.named("a", started: false, gated: true))
        node.run(for: .seconds(100))
        #expect(node.calls.isEmpty && node.conditions.isEmpty)
        node.apply(.named("a", gated: true))
        node.run(for: .milliseconds(10))
        #expect(node.conditions.map(\.condition) == [.healthy])
    }

    @Test(arguments: [true, false]) func `no other pod is touched`(isOn: Bool) {
        var node = Self.node(isOn ? Self.configuration : .init()) { _ in .unhealthy(.inaccessible) }
        node.apply(.named("a", gated: !isOn))
        node.run(for: .seconds(600))
        #expect(node.conditions.isEmpty)
        #expect(node.events.count == 1)
    }

    @Test(.tags(.rule12)) func `what the pod shows is not written again`() {
        var node = Simulation(Self.configuration)
        node.list(NodePod.named("a", gated: true).showing("True", reason: "VolumesHealthy"))
        node.run(for: .seconds(3600))
        #expect(node.conditions.isEmpty)
        // Another client has changed it.
        node.apply(NodePod.named("a", gated: true).showing("Unknown", reason: "Odd"))
        node.run(for: .seconds(1))
        #expect(node.conditions.map(\.condition) == [.healthy])
    }

    @Test func `a condition that the pod shows from an earlier process recovers after two healthy responses`() {
        var node = Simulation(Self.configuration)
        node.list(NodePod.named("a", gated: true).showing("False", reason: "MountLost"))
        node.run(for: .seconds(30))
        #expect(!node.calls.isEmpty)
        #expect(node.conditions.isEmpty)
        node.run(for: .seconds(60))
        #expect(node.conditions.map(\.condition) == [.healthy])
    }

    @Test(arguments: [NodeProbeOutcome.noCondition, .unknown(type: 9)])
    func `a response without health is no recovery of what an earlier process reported`(outcome: NodeProbeOutcome) {
        var node = Simulation(Self.configuration)
        node.respond = { _, _ in (outcome, .milliseconds(5)) }
        node.readBack = { volume in
            guard volume.podName == "reported" else { return .nothing }
            return .reported(VolumeState([.inaccessible]).fingerprint, reportedAt: .zero, since: .zero)
        }
        node.list(
            NodePod.named("shown", gated: true).showing("False", reason: "MountLost"),
            .named("reported", gated: true),
            .named("new", gated: true),
            .named("ungated")
        )
        node.run(for: .seconds(600))
        #expect(node.conditions.map(\.pod) == ["new"])
        #expect(node.conditions.map(\.condition) == [.healthy])
        // An earlier process may have reported any of them as missing, which ends when the driver finds it.
        #expect(node.readbacks.count == 4)
    }

    @Test(arguments: [NodeProbeOutcome.noCondition, .unknown(type: 9)])
    func `a recovery counts beside a volume for which the driver reports no health`(outcome: NodeProbeOutcome) {
        var isBroken = true
        var node = Self.node { $0 == "h-x" ? outcome : isBroken ? .unhealthy(.inaccessible) : .healthy }
        node.apply(.named("a", claims: ["x", "data"], gated: true))
        node.run(for: .seconds(600))
        #expect(node.conditions.map(\.condition.status) == [.false])
        // As the watch shows it, also to the next process.
        let message = node.conditions.first?.condition.message ?? ""
        #expect(message.hasPrefix("Volume data (claim data): "))
        let shown = NodePod.named("a", claims: ["x", "data"], gated: true)
            .showing("False", reason: "MountLost", message: message)
        node.apply(shown)
        isBroken = false
        node.run(for: .seconds(600))
        #expect(node.conditions.map(\.condition.status) == [.false, .true])
        var next = Self.node { $0 == "h-x" ? outcome : .healthy }
        next.apply(shown)
        next.run(for: .seconds(600))
        #expect(next.conditions.map(\.condition.status) == [.true])
    }

    @Test func `a pod without volumes of the driver is ready as soon as it has started`() {
        var node = Self.node { _ in .healthy }
        node.apply(.named("a", claims: [], started: false, gated: true))
        node.run(for: .seconds(1))
        #expect(node.conditions.isEmpty)
        node.apply(.named("a", claims: [], gated: true))
        node.run(for: .seconds(1))
        #expect(node.conditions.map(\.condition) == [.healthy])
    }

    /// `status` and `kubectl describe pod` show a volume that has recovered as unhealthy otherwise.
    @Test func `the condition names another volume when the one that it names has recovered`() {
        var recovered: Set<String> = []
        var node = Self.node { recovered.contains($0) ? .healthy : .unhealthy(.inaccessible) }
        node.apply(.named("a", claims: ["x", "y"], gated: true))
        node.run(for: .seconds(600))
        recovered.insert("h-x")
        node.run(for: .seconds(600))
        let written = node.conditions.map { [$0.condition.status?.rawValue, String($0.condition.message.prefix(20))] }
        #expect(written == [["False", "Volume x (claim x): "], ["False", "Volume y (claim y): "]])
    }

    @Test func `a new message alone is not written`() {
        var count = 0
        var node = Self.node { _ in
            count += 1
            return .unhealthy(VolumeHealthCondition(status: .inaccessible, reason: "Lost", message: "\(count)"))
        }
        node.apply(.named("a", gated: true))
        node.run(for: .seconds(3600))
        #expect(node.conditions.count == 1)
        #expect(node.conditions.first?.condition.message == "Volume data (claim data): Inaccessible (Lost): 1")
    }

    @Test func `the condition waits until all claims of the pod are resolved`() {
        var node = Self.node { _ in .healthy }
        node.resolve = { $0.name == "late" ? .notYet(reason: "") : .volume(.of($0.name)) }
        node.apply(.named("a", claims: ["data", "late"], gated: true))
        node.run(for: .seconds(60))
        #expect(node.conditions.isEmpty)
        node.resolve = { $0.name == "late" ? .notCSI : .volume(.of($0.name)) }
        node.run(for: .seconds(300))
        #expect(node.conditions.map(\.condition) == [.healthy])
    }

    @Test func `a pod without volumes of the driver is ready at once, and one of another driver is not touched`() {
        var node = Self.node { _ in .healthy }
        node.apply(.named("a", claims: [], gated: true))
        node.apply(NodePod.named("b", claims: []).with { $0.readinessGates = ["other.example.com/volumes-healthy"] })
        node.run(for: .seconds(1))
        #expect(node.conditions.map(\.pod) == ["a"])
    }

    @Test func `types are lower case`() {
        #expect(ReadinessCondition.type(driver: "CSI.Example.com") == "csi.example.com/volumes-healthy")
        #expect(ReadinessCondition.isType("csi.example.com/volumes-healthy"))
        #expect(!ReadinessCondition.isType("/volumes-healthy"))
        #expect(!ReadinessCondition.isType("example.com/other"))
    }
}
