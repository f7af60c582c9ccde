// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Random histories of a few nodes, pods and claims, checked against what was reported and the real state of the nodes.
struct NodeFailuresPropertyTests {
    /// The cluster, and what its users know from events.
    struct World {
        static let duration = Duration.seconds(300)
        static let nodeNames = ["n0", "n1", "n2"]
        static let claimNames = ["c0", "c1", "c2", "c3"]

        var random: SeededGenerator
        var failures = NodeFailures(notReadyDuration: duration)
        var now = Duration.zero
        /// When a node became not ready; nil while it is ready. A deleted node has no entry.
        var nodes: [String: Duration?] = [:]
        var pods: [String: MonitoredPod] = [:]
        /// The claims of the monitored driver.
        var claims: [ClaimKey: Claim] = [:]
        var nextUID = 0
        /// The failures that were reported and whose recovery was not.
        var known: Set<NodeFailureKey> = []
        /// The reports without a response. The next report may repeat one, or be the recovery from a failure that was
        /// never recorded.
        var lostResponses: Set<NodeFailureKey> = []

        init(seed: UInt64) {
            random = SeededGenerator(seed: seed)
            relist()
            for name in Self.nodeNames { set(node: name, notReadySince: nil) }
            for name in Self.claimNames { makeClaim(name) }
        }

        /// Both watches list again.
        mutating func relist() {
            failures.beginNodeRelist()
            failures.beginPodRelist()
            for (name, since) in nodes { applyNode(name, since) }
            for pod in pods.values { failures.apply(pod, at: now) }
            failures.endNodeRelist(at: now)
            failures.endPodRelist(at: now)
        }

        mutating func applyNode(_ name: String, _ notReadySince: Duration?) {
            let readiness = notReadySince.map(MonitoredNode.Readiness.notReady) ?? .ready
            failures.apply(MonitoredNode(name: name, readiness: readiness), at: now)
        }

        mutating func set(node name: String, notReadySince since: Duration?) {
            nodes[name] = .some(since)
            applyNode(name, since)
        }

        mutating func makeClaim(_ name: String) {
            nextUID += 1
            let claim = Claim.named(name, uid: "uid-\(nextUID)")
            claims[claim.key] = claim
        }

        /// Makes a random change.
        mutating func change() {
            let node = Self.nodeNames.randomElement(using: &random)!
            let name = Self.claimNames.randomElement(using: &random)!
            let pod = "p\(Int.random(in: 0..<5, using: &random))"
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<3: set(node: node, notReadySince: nil)
            case 3..<5:
                // A node that stays not ready keeps its transition time.
                set(node: node, notReadySince: nodes[node].flatMap(\.self) ?? now)
            case 5:
                nodes[node] = nil
                failures.removeNode(named: node, at: now)
            case 6..<9:
                // A pod can only be bound to a node that exists.
                guard nodes[node] != nil else { return }
                let using = Self.claimNames.filter { _ in Bool.random(using: &random) }
                let key = MonitoredPod.Key(namespace: "default", name: pod)
                let new = MonitoredPod(key: key, nodeName: node, claimNames: using)
                pods[pod] = new
                failures.apply(new, at: now)
            case 9:
                if let old = pods.removeValue(forKey: pod) { failures.removePod(old.key, at: now) }
            case 10:
                if Bool.random(using: &random) {
                    claims[ClaimKey(namespace: "default", name: name)] = nil
                } else {
                    makeClaim(name)
                }
            default:
                // Objects vanish while no watch is open.
                if Bool.random(using: &random) { nodes[node] = nil }
                if Bool.random(using: &random) { pods[pod] = nil }
                relist()
            }
        }

        func hasFailed(_ node: String) -> Bool {
            guard let since = nodes[node] else { return true }
            return since.map { $0 + Self.duration <= now } ?? false
        }

        func isReady(_ node: String) -> Bool {
            nodes[node] == .some(nil)
        }

        /// The pods on a node that use a claim.
        func users(of claim: Claim, on node: String) -> [String] {
            pods.values.filter { $0.nodeName == node && $0.claimNames.contains(claim.key.name) }.map(\.key.name)
                .sorted()
        }

        /// Drops the failures that end without a report.
        mutating func forget() {
            known = known.filter { key in
                guard let claim = claims.values.first(where: { $0.uid == key.claimUID }) else { return false }
                return nodes[key.node] != nil || !users(of: claim, on: key.node).isEmpty
            }
        }

        mutating func next() -> PendingNodeReport? {
            forget()
            let claims = claims
            guard case .run(let pendingReport) = failures.next(at: now, claim: { claims[$0] }) else { return nil }
            return pendingReport
        }

        /// Checks that the report is a change or a refresh, and notes what it says.
        mutating func read(_ pendingReport: PendingNodeReport) {
            let key = pendingReport.key
            let isUncertain = lostResponses.remove(key) != nil
            if pendingReport.state.isClear {
                #expect(isUncertain || known.contains(key), "a recovery without a failure")
                known.remove(key)
            } else {
                let isRefresh = pendingReport.cause == .refresh
                #expect(
                    isUncertain || known.contains(key) == isRefresh,
                    "reported twice, or a change reported as a refresh"
                )
                known.insert(key)
            }
        }

        /// Checks that the report is true at this moment.
        func check(_ pendingReport: PendingNodeReport) {
            let node = pendingReport.key.node
            if pendingReport.state.isClear {
                #expect(isReady(node))
            } else {
                #expect(hasFailed(node))
                #expect(pendingReport.state.pods == users(of: pendingReport.claim, on: node))
                #expect(claims[pendingReport.claim.key]?.uid == pendingReport.key.claimUID)
            }
        }

        /// Attempts up to three reports. Some fail, and the cluster may change meanwhile.
        mutating func report() {
            for _ in 0..<3 {
                guard let pendingReport = next() else { return }
                check(pendingReport)
                let outcome: ReportOutcome =
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: .responseLost
                    case 1: .unreachable
                    case 2: .refused
                    default: .reported
                    }
                if outcome == .reported || outcome.isUncertain && Bool.random(using: &random) { read(pendingReport) }
                if outcome.isUncertain { lostResponses.insert(pendingReport.key) }
                if Int.random(in: 0..<3, using: &random) == 0 { change() }
                failures.complete(pendingReport, outcome, at: now)
            }
        }

        /// Another process takes over and reads back what was reported.
        mutating func restart() {
            forget()
            failures = NodeFailures(notReadyDuration: Self.duration)
            for key in known {
                if let claim = claims.values.first(where: { $0.uid == key.claimUID }) {
                    failures.restore(reportedFailureOf: key.node, to: claim, reportedAt: now)
                }
            }
            lostResponses = []
            relist()
        }

        /// Time passes while the API server responds.
        mutating func complete() {
            for _ in 0..<10 {
                now += .seconds(61)
                while let pendingReport = next() {
                    check(pendingReport)
                    read(pendingReport)
                    failures.complete(pendingReport, .reported, at: now)
                }
            }
        }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func `in the end, the last report on every claim is true`(seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<300 {
            world.now += .seconds(Int.random(in: 0...100, using: &world.random))
            switch Int.random(in: 0..<20, using: &world.random) {
            case 0: world.restart()
            case 1..<10: world.change()
            default: world.report()
            }
        }

        world.complete()
        world.forget()
        for (key, claim) in world.claims {
            for node in World.nodeNames {
                let isKnown = world.known.contains(NodeFailureKey(node: node, claimUID: claim.uid))
                if world.isReady(node) {
                    #expect(!isKnown, "seed \(seed): \(key.name) was not reported that \(node) recovered")
                } else if world.hasFailed(node), !world.users(of: claim, on: node).isEmpty {
                    #expect(isKnown, "seed \(seed): \(key.name) was not reported that \(node) failed")
                }
            }
        }
        // After that, nothing is reported until a refresh is due.
        #expect(world.next() == nil, "seed \(seed)")
    }
}
