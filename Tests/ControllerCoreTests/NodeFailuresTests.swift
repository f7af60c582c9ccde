// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

typealias PendingNodeReport = PendingReport<NodeFailureKey, NodeFailureState, Claim>

extension NodeFailures {
    mutating func apply(node: String, _ readiness: MonitoredNode.Readiness, at now: Duration) {
        apply(MonitoredNode(name: node, readiness: readiness), at: now)
    }

    /// Adds a pod in the namespace `default`.
    mutating func apply(pod: String, on node: String, using claims: [String], at now: Duration) {
        let key = MonitoredPod.Key(namespace: "default", name: pod)
        apply(MonitoredPod(key: key, nodeName: node, claimNames: claims), at: now)
    }

    mutating func remove(pod: String, at now: Duration) {
        removePod(MonitoredPod.Key(namespace: "default", name: pod), at: now)
    }

    /// Completes every report that is due now as reported, and returns them.
    mutating func reportAll(at now: Duration, claim: (ClaimKey) -> Claim?) -> [PendingNodeReport] {
        var reported: [PendingNodeReport] = []
        while case .run(let pendingReport) = next(at: now, claim: claim) {
            reported.append(pendingReport)
            complete(pendingReport, .reported, at: now)
        }
        return reported
    }
}

struct NodeFailuresTests {
    var failures = NodeFailures(notReadyDuration: .seconds(300))
    /// The claims of the monitored driver.
    var claims: [ClaimKey: Claim] = [:]

    /// The ready node `worker`, and on it the pod `web-0`, which uses the claim `data`.
    init() {
        failures.beginNodeRelist()
        failures.apply(node: "worker", .ready, at: .zero)
        failures.endNodeRelist(at: .zero)
        failures.beginPodRelist()
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .zero)
        failures.endPodRelist(at: .zero)
        add(.named("data"))
    }

    mutating func add(_ claim: Claim) {
        claims[claim.key] = claim
    }

    mutating func step(at now: Duration) -> NextStep<PendingNodeReport> {
        let claims = claims
        return failures.next(at: now) { claims[$0] }
    }

    /// Reports everything that is due now: "data: web-0 on worker" for a failure, "data: worker" for a recovery.
    mutating func reported(at now: Duration) -> [String] {
        let claims = claims
        return failures.reportAll(at: now) { claims[$0] }.map { pendingReport in
            let state = pendingReport.state
            let pods = state.isClear ? "" : "\(state.pods.joined(separator: " ")) on "
            return "\(pendingReport.claim.key.name): \(pods)\(state.node)"
        }
    }

    mutating func fail(at now: Duration) {
        failures.apply(node: "worker", .notReady(since: now), at: now)
    }

    mutating func pendingReport(at now: Duration) throws -> PendingNodeReport {
        let step = step(at: now)
        return try #require(step.job, "nothing to report at \(now): \(step)")
    }

    // MARK: When a node has failed

    @Test mutating func `a ready node schedules nothing`() {
        #expect(step(at: .zero) == .wait(until: nil))
        #expect(step(at: .seconds(86_400)) == .wait(until: nil))
    }

    @Test mutating func `a node that is not ready for the configured duration has failed`() {
        fail(at: .seconds(100))
        #expect(reported(at: .seconds(399)) == [])
        #expect(step(at: .seconds(399)) == .wait(until: .seconds(400)))
        #expect(reported(at: .seconds(400)) == ["data: web-0 on worker"])
    }

    @Test mutating func `the time before the node was first seen counts`() {
        failures.apply(node: "worker", .notReady(since: .seconds(-290)), at: .zero)
        #expect(reported(at: .seconds(9)) == [])
        #expect(reported(at: .seconds(10)) == ["data: web-0 on worker"])
    }

    @Test mutating func `a change from False to Unknown does not restart the time`() {
        fail(at: .zero)
        fail(at: .seconds(200))
        #expect(reported(at: .seconds(300)) == ["data: web-0 on worker"])
    }

    @Test mutating func `a node that becomes ready in time has not failed`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(299)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(299))
        fail(at: .seconds(300))
        #expect(reported(at: .seconds(599)) == [])
        #expect(reported(at: .seconds(600)) == ["data: web-0 on worker"])
    }

    /// EHM crashes when a Node is deleted.
    @Test mutating func `a deleted node has failed at once, and nothing crashes`() {
        failures.removeNode(named: "worker", at: .seconds(5))
        failures.removeNode(named: "worker", at: .seconds(5))
        failures.removeNode(named: "never seen", at: .seconds(5))
        #expect(reported(at: .seconds(5)) == ["data: web-0 on worker"])
    }

    @Test mutating func `a node missing from a relist was deleted`() {
        failures.beginNodeRelist()
        failures.apply(node: "other", .ready, at: .seconds(5))
        #expect(reported(at: .seconds(5)) == [])
        failures.endNodeRelist(at: .seconds(6))
        #expect(reported(at: .seconds(6)) == ["data: web-0 on worker"])
    }

    @Test mutating func `a node that was never seen gets the same time`() {
        failures.apply(pod: "web-0", on: "new", using: ["data"], at: .seconds(10))
        #expect(reported(at: .seconds(309)) == [])
        #expect(reported(at: .seconds(310)) == ["data: web-0 on new"])
    }

    @Test mutating func `the pod watch may be ahead of the node watch`() {
        failures.apply(pod: "web-0", on: "new", using: ["data"], at: .seconds(10))
        failures.apply(node: "new", .ready, at: .seconds(11))
        #expect(reported(at: .seconds(1000)) == [])
    }

    @Test mutating func `a node without the Ready condition has neither failed nor recovered`() {
        failures.apply(node: "worker", .unknown, at: .zero)
        #expect(reported(at: .seconds(1000)) == [])
        fail(at: .seconds(1000))
        #expect(reported(at: .seconds(1300)) == ["data: web-0 on worker"])
        failures.apply(node: "worker", .unknown, at: .seconds(1301))
        #expect(reported(at: .seconds(1301)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(1302))
        #expect(reported(at: .seconds(1302)) == ["data: worker"])
    }

    @Test func `nothing is decided before both lists are complete`() {
        var failures = NodeFailures(notReadyDuration: .zero)
        failures.beginPodRelist()
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .zero)
        failures.endPodRelist(at: .zero)
        failures.beginNodeRelist()
        #expect(failures.next(at: .zero) { .named($0.name) } == .wait(until: nil))
        failures.apply(node: "worker", .ready, at: .zero)
        failures.endNodeRelist(at: .zero)
        #expect(failures.next(at: .zero) { .named($0.name) } == .wait(until: nil))
    }

    // MARK: Which claims are reported

    @Test mutating func `the pods of a claim are reported together`() {
        add(.named("logs"))
        failures.apply(pod: "web-2", on: "worker", using: ["data", "logs", "data"], at: .zero)
        failures.apply(pod: "web-1", on: "worker", using: ["data"], at: .zero)
        failures.apply(pod: "web-3", on: "other", using: ["data"], at: .zero)
        failures.apply(node: "other", .ready, at: .zero)
        fail(at: .zero)
        #expect(Set(reported(at: .seconds(300))) == ["data: web-0 web-1 web-2 on worker", "logs: web-2 on worker"])
    }

    @Test mutating func `a claim with pods on two failed nodes is reported for both`() {
        failures.apply(pod: "web-1", on: "other", using: ["data"], at: .zero)
        failures.apply(node: "other", .notReady(since: .zero), at: .zero)
        fail(at: .zero)
        #expect(Set(reported(at: .seconds(300))) == ["data: web-0 on worker", "data: web-1 on other"])
        failures.apply(node: "other", .ready, at: .seconds(301))
        #expect(reported(at: .seconds(301)) == ["data: other"])
    }

    @Test mutating func `claims of other drivers are not reported`() {
        claims = [:]
        fail(at: .zero)
        #expect(reported(at: .seconds(300)) == [])
    }

    @Test mutating func `a claim that becomes one of this driver later is reported within a minute`() {
        claims = [:]
        fail(at: .zero)
        #expect(reported(at: .seconds(300)) == [])
        add(.named("data"))
        #expect(step(at: .seconds(300)) == .wait(until: .seconds(360)))
        #expect(reported(at: .seconds(360)) == ["data: web-0 on worker"])
    }

    @Test mutating func `a recreated claim is another claim`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        add(.named("data", uid: "another"))
        #expect(reported(at: .seconds(360)) == ["data: web-0 on worker"])
        failures.apply(node: "worker", .ready, at: .seconds(361))
        #expect(reported(at: .seconds(361)) == ["data: worker"])
    }

    @Test mutating func `a deleted claim is forgotten`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        claims = [:]
        failures.remove(pod: "web-0", at: .seconds(301))
        failures.apply(node: "worker", .ready, at: .seconds(302))
        #expect(reported(at: .seconds(302)) == [])
        #expect(failures.affectedClaims.isEmpty)
    }

    @Test mutating func `a pod that is bound to a failed node is reported`() {
        failures.remove(pod: "web-0", at: .zero)
        fail(at: .zero)
        #expect(reported(at: .seconds(300)) == [])
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .seconds(301))
        #expect(reported(at: .seconds(301)) == ["data: web-0 on worker"])
    }

    @Test mutating func `pods without claims or nodes are not stored`() {
        failures.apply(pod: "idle", on: "worker", using: [], at: .zero)
        failures.apply(pod: "pending", on: "", using: ["data"], at: .zero)
        #expect(failures.podsByNode.values.reduce(0) { $0 + $1.count } == 1)
        failures.apply(pod: "web-0", on: "worker", using: [], at: .zero)
        #expect(failures.podsByNode.isEmpty)
    }

    // MARK: Each failure is reported once

    @Test mutating func `a lasting failure is reported once and refreshed slowly`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        for minute in 6..<35 {
            fail(at: .seconds(60 * minute))
            #expect(reported(at: .seconds(60 * minute)) == [])
        }
        #expect(reported(at: .seconds(300 + 1800)) == ["data: web-0 on worker"])
    }

    @Test mutating func `where an event has expired before its refresh, refreshes come sooner`() throws {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        let refresh = try pendingReport(at: .seconds(2100))
        failures.recorded(refresh, count: 1, at: .seconds(2100))
        failures.complete(refresh, .reported, at: .seconds(2100))
        #expect(reported(at: .seconds(2100 + 899)) == [])
        #expect(reported(at: .seconds(2100 + 900)).count == 1)
    }

    @Test mutating func `a recovery is reported once`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        failures.apply(node: "worker", .ready, at: .seconds(301))
        #expect(reported(at: .seconds(301)) == ["data: worker"])
        #expect(reported(at: .seconds(302)) == [])
        #expect(step(at: .seconds(86_400)) == .wait(until: nil))
        #expect(failures.affectedClaims.isEmpty)
    }

    @Test mutating func `if a node recovers before its failure was reported, nothing is reported`() {
        fail(at: .zero)
        _ = step(at: .seconds(299))
        failures.apply(node: "worker", .ready, at: .seconds(300))
        #expect(reported(at: .seconds(301)) == [])
    }

    @Test mutating func `the recovery of a deleted node is reported`() {
        failures.removeNode(named: "worker", at: .zero)
        #expect(reported(at: .zero).count == 1)
        failures.apply(node: "worker", .ready, at: .seconds(1))
        #expect(reported(at: .seconds(1)) == ["data: worker"])
    }

    @Test mutating func `a claim whose pods moved away still gets the node's recovery`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        failures.apply(node: "other", .ready, at: .seconds(301))
        failures.apply(pod: "web-0", on: "other", using: ["data"], at: .seconds(301))
        #expect(reported(at: .seconds(10_000)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(10_001))
        #expect(reported(at: .seconds(10_001)) == ["data: worker"])
    }

    @Test mutating func `pods that return to the failed node are not reported again`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)).count == 1)
        failures.remove(pod: "web-0", at: .seconds(301))
        #expect(reported(at: .seconds(301)) == [])
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .seconds(302))
        #expect(reported(at: .seconds(302)) == [])
    }

    @Test mutating func `a claim whose pods left a deleted node is forgotten`() {
        failures.removeNode(named: "worker", at: .zero)
        #expect(reported(at: .zero).count == 1)
        failures.remove(pod: "web-0", at: .seconds(1))
        #expect(reported(at: .seconds(1)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(2))
        #expect(reported(at: .seconds(2)) == [])
        #expect(failures.affectedClaims.isEmpty)
        #expect(failures.missingNodes.isEmpty)
    }

    @Test mutating func `pods that leave before the report are not reported`() throws {
        fail(at: .zero)
        failures.complete(try pendingReport(at: .seconds(300)), .unreachable, at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(300))
        #expect(reported(at: .seconds(400)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(401))
        #expect(reported(at: .seconds(401)) == [])
    }

    // MARK: While a report is in flight

    @Test mutating func `a recovery during a report is reported after it`() throws {
        fail(at: .zero)
        let failure = try pendingReport(at: .seconds(300))
        failures.apply(node: "worker", .ready, at: .seconds(301))
        #expect(reported(at: .seconds(301)) == [])
        failures.complete(failure, .reported, at: .seconds(302))
        #expect(reported(at: .seconds(302)) == ["data: worker"])
    }

    @Test mutating func `a claim whose pods leave during the report still gets the recovery`() throws {
        fail(at: .zero)
        let failure = try pendingReport(at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(301))
        #expect(reported(at: .seconds(301)) == [])
        failures.complete(failure, .reported, at: .seconds(302))
        #expect(reported(at: .seconds(302)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(303))
        #expect(reported(at: .seconds(303)) == ["data: worker"])
    }

    @Test mutating func `a recovery after a lost response is reported`() throws {
        fail(at: .zero)
        failures.complete(try pendingReport(at: .seconds(300)), .responseLost, at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(300))
        #expect(reported(at: .seconds(400)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(401))
        #expect(reported(at: .seconds(401)) == ["data: worker"])
    }

    @Test mutating func `a failure whose response was lost is reported again`() throws {
        fail(at: .zero)
        failures.complete(try pendingReport(at: .seconds(300)), .responseLost, at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(300))
        #expect(reported(at: .seconds(300)) == [])
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .seconds(300))
        #expect(reported(at: .seconds(301)) == ["data: web-0 on worker"])
    }

    @Test(arguments: [.responseLost, .failed(RequestFailure()), .unreachable] as [ReportOutcome])
    mutating func `a report fails from its first attempt until it is recorded or no longer needed`(
        outcome: ReportOutcome
    ) throws {
        fail(at: .zero)
        var now = Duration.seconds(300)
        for _ in 0..<3 {
            failures.complete(try pendingReport(at: now), outcome, at: now)
            #expect(failures.failingReports == FailingReports(count: 1, since: .seconds(300)))
            now += .seconds(120)
        }
        failures.complete(try pendingReport(at: now), .reported, at: now)
        #expect(failures.failingReports == nil)
        now += .seconds(1800)
        failures.complete(try pendingReport(at: now), outcome, at: now)
        failures.remove(pod: "web-0", at: now)
        #expect(reported(at: now) == [])
        #expect(failures.failingReports == nil)
    }

    @Test mutating func `a namespace that is gone ends the reports`() throws {
        fail(at: .zero)
        failures.complete(try pendingReport(at: .seconds(300)), .gone, at: .seconds(300))
        #expect(reported(at: .seconds(300)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(301))
        #expect(reported(at: .seconds(301)) == [])
    }

    // MARK: Rule 9

    @Test(.tags(.rule9)) mutating func `a reported failure is not reported again`() {
        failures.restore(reportedFailureOf: "worker", to: .named("data"), reportedAt: .seconds(-60))
        failures.apply(node: "worker", .notReady(since: .seconds(-1000)), at: .zero)
        #expect(reported(at: .zero) == [])
        #expect(reported(at: .seconds(1739)) == [])
        #expect(reported(at: .seconds(1740)) == ["data: web-0 on worker"])
    }

    @Test(.tags(.rule9)) mutating func `a recovery while no process watched is reported`() {
        failures.restore(reportedFailureOf: "worker", to: .named("data"), reportedAt: .seconds(-60))
        #expect(reported(at: .zero) == ["data: worker"])
    }

    @Test(.tags(.rule9)) mutating func `a claim whose pods moved while no process watched still gets the recovery`() {
        failures.restore(reportedFailureOf: "worker", to: .named("data"), reportedAt: .seconds(-60))
        failures.remove(pod: "web-0", at: .zero)
        fail(at: .zero)
        #expect(reported(at: .seconds(1000)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(1001))
        #expect(reported(at: .seconds(1001)) == ["data: worker"])
    }

    @Test(.tags(.rule9)) mutating func `a failure that is read back late does not replace what was reported since`() {
        fail(at: .zero)
        #expect(reported(at: .seconds(300)) == ["data: web-0 on worker"])
        failures.restore(reportedFailureOf: "worker", to: .named("data"), reportedAt: .seconds(-10000))
        #expect(reported(at: .seconds(600)) == [])
    }

    @Test(.tags(.rule9)) mutating func `a deleted node without pods is forgotten`() {
        failures.restore(reportedFailureOf: "old", to: .named("data"), reportedAt: .seconds(-60))
        #expect(reported(at: .zero) == [])
        #expect(failures.affectedClaims.isEmpty)
    }

    @Test(.tags(.rule9)) mutating func `a deleted node that pods still name is not reported again`() {
        failures.restore(reportedFailureOf: "old", to: .named("data"), reportedAt: .seconds(-60))
        failures.apply(pod: "web-0", on: "old", using: ["data"], at: .zero)
        #expect(reported(at: .zero) == [])
        #expect(reported(at: .seconds(301)) == [])
        failures.apply(node: "old", .ready, at: .seconds(302))
        #expect(reported(at: .seconds(302)) == ["data: old"])
    }
}
