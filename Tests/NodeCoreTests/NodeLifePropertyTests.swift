// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthCore
@testable import NodeCore

/// Pods that come and go at random, with a driver that responds at random, over a simulated hour. A model of the node
/// that knows nothing of the core says which events may be recorded.
struct NodeLifePropertyTests {
    struct Pod {
        var pod: NodePod
        /// When it has started, and when the API server had its end or deletion.
        var started: Duration?
        var ended: Duration?
        /// When the kubelet unmounted its volumes, if before that.
        var unmounted: Duration?
        /// Those of its volumes that the agent held to be unhealthy then: their changes are reported at once.
        var unhealthy: Set<NodeVolumeKey> = []
    }

    /// What the driver reports of a volume, and since when.
    struct Truth {
        var conditions: [VolumeHealthCondition] = []
        var since = Duration.zero
    }

    /// What the model knows. A class, because the closures of the simulation share it.
    final class Model {
        var random: SeededGenerator
        /// By uid: every pod that ever was.
        var pods: [String: Pod] = [:]
        /// By volume handle.
        var truths: [String: Truth] = [:]
        var isReliable = false
        /// Whether pods that end by themselves end in the kubelet's order: first their volumes are unmounted.
        let unmountsFirst: Bool
        var probesOfUnmounted = 0

        init(seed: UInt64, unmountsFirst: Bool) {
            random = SeededGenerator(seed: seed)
            self.unmountsFirst = unmountsFirst
        }

        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

        /// The pod that has this name now.
        func live(_ name: String) -> NodePod? {
            pods.values.first { $0.pod.name == name && $0.ended == nil }?.pod
        }

        func respond(_ probe: NodeProbe) -> (NodeProbeOutcome, Duration) {
            if !isReliable {
                switch Int.random(in: 0..<20, using: &random) {
                case 0: return (.failed(.deadlineExceeded), .seconds(15))
                case 1: return (.failed(.internal), .zero)
                case 2: return (.failed(.aborted), .zero)
                case 3: return (.failed(.unavailable), .zero)
                default: break
                }
            }
            if pods[probe.key.podUID]?.unmounted != nil {
                probesOfUnmounted += 1
                return (.unhealthy(.notMounted), .milliseconds(5))
            }
            let report = VolumeHealthReport(
                volumeHandle: probe.volumeHandle,
                conditions: truths[probe.volumeHandle]?.conditions ?? []
            )
            return (.health(report), .milliseconds(Int.random(in: 1...8000, using: &random)))
        }
    }

    private static let names = (0..<12).map { "p\($0)" }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `pods that come and go cause no false, repeated or missing report`(seed: UInt64) {
        play(seed: seed, reportDelay: .zero)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `pods that end in the kubelet's order cause none either, with the delay of a new process`(seed: UInt64) {
        play(seed: seed, reportDelay: .seconds(15))
    }

    private func play(seed: UInt64, reportDelay: Duration) {
        let model = Model(seed: seed, unmountsFirst: reportDelay > .zero)
        let interval = Duration.seconds(model.unmountsFirst ? 10 : 60)
        var node = Simulation(.init(interval: interval, reportDelay: reportDelay), seed: seed)
        node.respond = { probe, _ in model.respond(probe) }
        node.record = { _ in
            if model.isReliable { return .reported }
            return [.reported, .reported, .reported, .refused, .unreachable].randomElement(using: &model.random)
                ?? .reported
        }
        node.list()
        for _ in 0..<360 {
            change(model, &node)
            node.run(for: .seconds(10))
        }
        check(node, model)
        #expect(!model.unmountsFirst || model.probesOfUnmounted > 0)

        // Everything works again: what lasts is reported, and nothing else.
        model.isReliable = true
        node.run(for: .seconds(2 * 3600))
        check(node, model)
        checkCompleteness(node, model)
    }

    private func change(_ model: Model, _ node: inout Simulation) {
        let name = Self.names.randomElement(using: &model.random) ?? ""
        switch Int.random(in: 0..<6, using: &model.random) {
        case 0, 1:
            if let pod = model.live(name) {
                guard model.chance(50) else { break }
                end(pod, model, &node)
            }
            let uid = "uid-\(model.pods.count)"
            let started = model.chance(30)
            let pod = NodePod.named(name, uid: uid, claims: ["\(name)-x", "\(name)-y"], started: started)
            model.pods[uid] = Pod(pod: pod, started: started ? node.now : nil)
            node.apply(pod)
        case 2:
            guard let pod = model.live(name), !pod.isStarted else { break }
            let started = pod.with { $0.isStarted = true }
            model.pods[pod.uid] = Pod(pod: started, started: node.now)
            node.apply(started)
        case 3:
            if let pod = model.live(name), model.chance(30) { end(pod, model, &node) }
        case 4:
            let handle = "h-\(name)-\(model.chance(50) ? "x" : "y")"
            let conditions: [VolumeHealthCondition] =
                [[], [.degraded], [.inaccessible], [.inaccessible, .degraded]].randomElement(using: &model.random) ?? []
            if model.truths[handle]?.conditions ?? [] != conditions {
                model.truths[handle] = Truth(conditions: conditions, since: node.now)
            }
        default:
            if model.chance(10) { node.reconnect() }
            if model.chance(10) { relist(model, &node) }
        }
    }

    private func end(_ pod: NodePod, _ model: Model, _ node: inout Simulation) {
        let way = Int.random(in: 0..<4, using: &model.random)
        if way == 1, model.unmountsFirst {
            model.pods[pod.uid]?.unhealthy = unhealthy(of: pod, node.state)
            model.pods[pod.uid]?.unmounted = node.now
            // Measured on a kubelet 1.36.2: docs/agent.md, Limits.
            node.run(for: .milliseconds(Int.random(in: 0...9000, using: &model.random)))
        }
        model.pods[pod.uid]?.ended = node.now
        switch way {
        case 0: node.apply(pod.with { $0.isDeleting = true })
        case 1: node.apply(pod.with { $0.hasEnded = true })
        case 2: node.state.remove(podUID: pod.uid)
        // The watch lost its connection meanwhile, and the new list shows what is left.
        default: relist(model, &node)
        }
    }

    private func key(_ volume: PodVolume, of pod: NodePod) -> NodeVolumeKey {
        NodeVolumeKey(podUID: pod.uid, volume: "pv-\(volume.name)", isInline: false)
    }

    /// The volumes of a pod that are reported as unhealthy, or wait for that.
    private func unhealthy(of pod: NodePod, _ state: NodeHealthState) -> Set<NodeVolumeKey> {
        Set(pod.volumes.map { key($0, of: pod) }).filter {
            state.newConditions.keys.contains($0) || state.events.fingerprint($0) != nil
                || state.flaps.waiting($0) != nil
        }
    }

    private func relist(_ model: Model, _ node: inout Simulation) {
        node.state.beginRelist()
        for pod in model.pods.values.filter({ $0.ended == nil }).sorted(by: { $0.pod.uid < $1.pod.uid }) {
            node.apply(pod.pod)
        }
        node.state.endRelist(at: node.now)
    }

    /// No call and no event outside of a pod's life, and no two transitions to the same conditions.
    private func check(_ node: Simulation, _ model: Model) {
        let strays = node.calls.filter { call in
            guard let pod = model.pods[call.probe.key.podUID], let started = pod.started else { return true }
            return call.began < started || pod.ended.map { call.began > $0 } == true
        }
        #expect(strays.isEmpty, "called before the pod has started, or after its end")
        var last: [NodeVolumeKey: [VolumeHealthCondition]] = [:]
        for event in node.events {
            let pod = model.pods[event.report.target.podUID]
            #expect(pod?.started.map { $0 <= event.time } == true, "reported before the pod has started")
            #expect(pod?.ended.map { event.time <= $0 } ?? true, "reported after the pod has ended")
            let isFalse = event.state.conditions == [.notMounted] && pod?.unhealthy.contains(event.report.key) != true
            #expect(!isFalse, "reported because the pod was ending")
            guard event.report.cause == .transition else { continue }
            #expect(last[event.report.key] ?? [] != event.state.conditions, "reported twice")
            last[event.report.key] = event.state.conditions
        }
    }

    /// The last event of each volume of a running pod shows what the driver reports; none: it was always healthy.
    private func checkCompleteness(_ node: Simulation, _ model: Model) {
        var last: [NodeVolumeKey: [VolumeHealthCondition]] = [:]
        for event in node.events { last[event.report.key] = event.state.conditions }
        var checked = 0
        for pod in model.pods.values where pod.ended == nil && pod.started != nil {
            for volume in pod.pod.volumes {
                #expect(last[key(volume, of: pod.pod)] ?? [] == model.truths["h-\(volume.name)"]?.conditions ?? [])
                checked += 1
            }
        }
        #expect(checked > 0)
    }
}

extension VolumeHealthCondition {
    fileprivate static let notMounted = VolumeHealthCondition(status: .inaccessible, reason: "NotMounted", message: "")
}
