// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

typealias NodeAnnouncement = Announcement<NodeFailureKey, NodeFailureState>

extension NodeFailures {
    mutating func apply(node: String, _ readiness: MonitoredNode.Readiness, at now: Duration) {
        apply(MonitoredNode(name: node, readiness: readiness), at: now)
    }

    /// A pod of the namespace default.
    mutating func apply(pod: String, on node: String, using claims: [String], at now: Duration) {
        let key = MonitoredPod.Key(namespace: "default", name: pod)
        apply(MonitoredPod(key: key, nodeName: node, claimNames: claims), at: now)
    }

    mutating func remove(pod: String, at now: Duration) {
        removePod(MonitoredPod.Key(namespace: "default", name: pod), at: now)
    }

    /// Everything that is due now, each told successfully.
    mutating func tellAll(at now: Duration, claim: (ClaimKey) -> Claim?) -> [NodeAnnouncement] {
        var told: [NodeAnnouncement] = []
        while case .tell(let announcement) = next(at: now, claim: claim) {
            told.append(announcement)
            settle(announcement, .told, at: now)
        }
        return told
    }
}

struct NodeFailuresTests {
    var failures = NodeFailures(notReadyDuration: .seconds(300))
    /// The claims of our driver.
    var claims: [ClaimKey: Claim] = [:]

    /// The node `worker`, ready, and the pod `web-0` on it, which uses the claim `data`.
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

    mutating func step(at now: Duration) -> ReportStep<NodeFailureKey, NodeFailureState> {
        let claims = claims
        return failures.next(at: now) { claims[$0] }
    }

    /// Everything that is due now, told: "data: web-0 on worker" of a failure, "data: worker" of a recovery.
    mutating func told(at now: Duration) -> [String] {
        let claims = claims
        return failures.tellAll(at: now) { claims[$0] }.map { announcement in
            let state = announcement.state
            let pods = state.isClear ? "" : "\(state.pods.joined(separator: " ")) on "
            return "\(announcement.claim.key.name): \(pods)\(state.node)"
        }
    }

    mutating func fail(at now: Duration) {
        failures.apply(node: "worker", .notReady(since: now), at: now)
    }

    mutating func announcement(at now: Duration) throws -> NodeAnnouncement {
        guard case .tell(let announcement) = step(at: now) else {
            Issue.record("nothing to tell at \(now)")
            throw CancellationError()
        }
        return announcement
    }

    // MARK: When a node has failed

    @Test mutating func aReadyNodeCostsNothing() {
        #expect(step(at: .zero) == .wait(until: nil))
        #expect(step(at: .seconds(86_400)) == .wait(until: nil))
    }

    @Test mutating func aNodeThatIsNotReadyForTheDurationHasFailed() {
        fail(at: .seconds(100))
        #expect(told(at: .seconds(399)) == [])
        #expect(step(at: .seconds(399)) == .wait(until: .seconds(400)))
        #expect(told(at: .seconds(400)) == ["data: web-0 on worker"])
    }

    @Test mutating func theTimeBeforeItWasFirstSeenCounts() {
        failures.apply(node: "worker", .notReady(since: .seconds(-290)), at: .zero)
        #expect(told(at: .seconds(9)) == [])
        #expect(told(at: .seconds(10)) == ["data: web-0 on worker"])
    }

    @Test mutating func aChangeFromFalseToUnknownDoesNotBeginAnew() {
        fail(at: .zero)
        fail(at: .seconds(200))
        #expect(told(at: .seconds(300)) == ["data: web-0 on worker"])
    }

    @Test mutating func aNodeThatIsReadyAgainInTimeHasNotFailed() {
        fail(at: .zero)
        #expect(told(at: .seconds(299)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(299))
        fail(at: .seconds(300))
        #expect(told(at: .seconds(599)) == [])
        #expect(told(at: .seconds(600)) == ["data: web-0 on worker"])
    }

    /// EHM dies of a deleted Node.
    @Test mutating func aDeletedNodeHasFailedAtOnceAndNothingCrashes() {
        failures.removeNode(named: "worker", at: .seconds(5))
        failures.removeNode(named: "worker", at: .seconds(5))
        failures.removeNode(named: "never seen", at: .seconds(5))
        #expect(told(at: .seconds(5)) == ["data: web-0 on worker"])
    }

    @Test mutating func aNodeThatIsMissingInANewListWasDeleted() {
        failures.beginNodeRelist()
        failures.apply(node: "other", .ready, at: .seconds(5))
        #expect(told(at: .seconds(5)) == [])
        failures.endNodeRelist(at: .seconds(6))
        #expect(told(at: .seconds(6)) == ["data: web-0 on worker"])
    }

    @Test mutating func aNodeThatWasNeverSeenGetsTheSameTime() {
        failures.apply(pod: "web-0", on: "new", using: ["data"], at: .seconds(10))
        #expect(told(at: .seconds(309)) == [])
        #expect(told(at: .seconds(310)) == ["data: web-0 on new"])
    }

    @Test mutating func theWatchOfPodsMayBeAheadOfThatOfNodes() {
        failures.apply(pod: "web-0", on: "new", using: ["data"], at: .seconds(10))
        failures.apply(node: "new", .ready, at: .seconds(11))
        #expect(told(at: .seconds(1000)) == [])
    }

    @Test mutating func aNodeWithoutTheConditionHasNeitherFailedNorRecovered() {
        failures.apply(node: "worker", .unknown, at: .zero)
        #expect(told(at: .seconds(1000)) == [])
        fail(at: .seconds(1000))
        #expect(told(at: .seconds(1300)) == ["data: web-0 on worker"])
        failures.apply(node: "worker", .unknown, at: .seconds(1301))
        #expect(told(at: .seconds(1301)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(1302))
        #expect(told(at: .seconds(1302)) == ["data: worker"])
    }

    @Test func nothingIsDecidedBeforeBothListsAreThere() {
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

    // MARK: Who is told

    @Test mutating func thePodsOfAClaimAreToldTogether() {
        add(.named("logs"))
        failures.apply(pod: "web-2", on: "worker", using: ["data", "logs", "data"], at: .zero)
        failures.apply(pod: "web-1", on: "worker", using: ["data"], at: .zero)
        failures.apply(pod: "web-3", on: "other", using: ["data"], at: .zero)
        failures.apply(node: "other", .ready, at: .zero)
        fail(at: .zero)
        #expect(Set(told(at: .seconds(300))) == ["data: web-0 web-1 web-2 on worker", "logs: web-2 on worker"])
    }

    @Test mutating func aClaimOnTwoFailedNodesIsToldOfBoth() {
        failures.apply(pod: "web-1", on: "other", using: ["data"], at: .zero)
        failures.apply(node: "other", .notReady(since: .zero), at: .zero)
        fail(at: .zero)
        #expect(Set(told(at: .seconds(300))) == ["data: web-0 on worker", "data: web-1 on other"])
        failures.apply(node: "other", .ready, at: .seconds(301))
        #expect(told(at: .seconds(301)) == ["data: other"])
    }

    @Test mutating func claimsOfOtherDriversAreNotTold() {
        claims = [:]
        fail(at: .zero)
        #expect(told(at: .seconds(300)) == [])
    }

    @Test mutating func aClaimThatTurnsOutToBeOursLaterIsToldWithinAMinute() {
        claims = [:]
        fail(at: .zero)
        #expect(told(at: .seconds(300)) == [])
        add(.named("data"))
        #expect(step(at: .seconds(300)) == .wait(until: .seconds(360)))
        #expect(told(at: .seconds(360)) == ["data: web-0 on worker"])
    }

    @Test mutating func aClaimThatIsMadeAnewIsAnotherOne() {
        fail(at: .zero)
        #expect(told(at: .seconds(300)).count == 1)
        add(.named("data", uid: "another"))
        #expect(told(at: .seconds(360)) == ["data: web-0 on worker"])
        failures.apply(node: "worker", .ready, at: .seconds(361))
        #expect(told(at: .seconds(361)) == ["data: worker"])
    }

    @Test mutating func aClaimThatIsGoneIsForgotten() {
        fail(at: .zero)
        #expect(told(at: .seconds(300)).count == 1)
        claims = [:]
        failures.remove(pod: "web-0", at: .seconds(301))
        failures.apply(node: "worker", .ready, at: .seconds(302))
        #expect(told(at: .seconds(302)) == [])
        #expect(failures.concerns.isEmpty)
    }

    @Test mutating func aPodThatComesToAFailedNodeIsTold() {
        failures.remove(pod: "web-0", at: .zero)
        fail(at: .zero)
        #expect(told(at: .seconds(300)) == [])
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .seconds(301))
        #expect(told(at: .seconds(301)) == ["data: web-0 on worker"])
    }

    @Test mutating func podsWithoutClaimsOrNodesAreNotKept() {
        failures.apply(pod: "idle", on: "worker", using: [], at: .zero)
        failures.apply(pod: "pending", on: "", using: ["data"], at: .zero)
        #expect(failures.podsByNode.values.reduce(0) { $0 + $1.count } == 1)
        failures.apply(pod: "web-0", on: "worker", using: [], at: .zero)
        #expect(failures.podsByNode.isEmpty)
    }

    // MARK: Once

    @Test mutating func aFailureThatLastsIsToldOnceAndRefreshedSlowly() {
        fail(at: .zero)
        #expect(told(at: .seconds(300)).count == 1)
        for minute in 6..<35 {
            fail(at: .seconds(60 * minute))
            #expect(told(at: .seconds(60 * minute)) == [])
        }
        #expect(told(at: .seconds(300 + 1800)) == ["data: web-0 on worker"])
    }

    @Test mutating func aRecoveryIsToldOnce() {
        fail(at: .zero)
        #expect(told(at: .seconds(300)).count == 1)
        failures.apply(node: "worker", .ready, at: .seconds(301))
        #expect(told(at: .seconds(301)) == ["data: worker"])
        #expect(told(at: .seconds(302)) == [])
        #expect(step(at: .seconds(86_400)) == .wait(until: nil))
        #expect(failures.concerns.isEmpty)
    }

    @Test mutating func aRecoveryBeforeTheFailureWasToldIsNotTold() {
        fail(at: .zero)
        _ = step(at: .seconds(299))
        failures.apply(node: "worker", .ready, at: .seconds(300))
        #expect(told(at: .seconds(301)) == [])
    }

    @Test mutating func aRecoveryOfADeletedNodeIsTold() {
        failures.removeNode(named: "worker", at: .zero)
        #expect(told(at: .zero).count == 1)
        failures.apply(node: "worker", .ready, at: .seconds(1))
        #expect(told(at: .seconds(1)) == ["data: worker"])
    }

    @Test mutating func whosePodsMovedWaitsForTheNodeThatIsNotReady() {
        fail(at: .zero)
        #expect(told(at: .seconds(300)).count == 1)
        failures.apply(node: "other", .ready, at: .seconds(301))
        failures.apply(pod: "web-0", on: "other", using: ["data"], at: .seconds(301))
        #expect(told(at: .seconds(10_000)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(10_001))
        #expect(told(at: .seconds(10_001)) == ["data: worker"])
    }

    @Test mutating func podsThatComeBackToTheFailedNodeAreNoNews() {
        fail(at: .zero)
        #expect(told(at: .seconds(300)).count == 1)
        failures.remove(pod: "web-0", at: .seconds(301))
        #expect(told(at: .seconds(301)) == [])
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .seconds(302))
        #expect(told(at: .seconds(302)) == [])
    }

    @Test mutating func whosePodsMovedFromADeletedNodeIsForgotten() {
        failures.removeNode(named: "worker", at: .zero)
        #expect(told(at: .zero).count == 1)
        failures.remove(pod: "web-0", at: .seconds(1))
        #expect(told(at: .seconds(1)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(2))
        #expect(told(at: .seconds(2)) == [])
        #expect(failures.concerns.isEmpty)
        #expect(failures.absences.isEmpty)
    }

    @Test mutating func podsThatLeaveBeforeItIsToldAreNotTold() throws {
        fail(at: .zero)
        failures.settle(try announcement(at: .seconds(300)), .unreachable, at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(300))
        #expect(told(at: .seconds(400)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(401))
        #expect(told(at: .seconds(401)) == [])
    }

    // MARK: While an announcement is under way

    @Test mutating func aNodeThatRecoversMeanwhileIsToldAfterIt() throws {
        fail(at: .zero)
        let failure = try announcement(at: .seconds(300))
        failures.apply(node: "worker", .ready, at: .seconds(301))
        #expect(told(at: .seconds(301)) == [])
        failures.settle(failure, .told, at: .seconds(302))
        #expect(told(at: .seconds(302)) == ["data: worker"])
    }

    @Test mutating func podsThatLeaveMeanwhileLeaveSomeoneWhoWaits() throws {
        fail(at: .zero)
        let failure = try announcement(at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(301))
        #expect(told(at: .seconds(301)) == [])
        failures.settle(failure, .told, at: .seconds(302))
        #expect(told(at: .seconds(302)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(303))
        #expect(told(at: .seconds(303)) == ["data: worker"])
    }

    @Test mutating func aRecoveryAfterALostAnswerIsTold() throws {
        fail(at: .zero)
        failures.settle(try announcement(at: .seconds(300)), .unanswered, at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(300))
        #expect(told(at: .seconds(400)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(401))
        #expect(told(at: .seconds(401)) == ["data: worker"])
    }

    @Test mutating func afterALostAnswerItIsToldAgain() throws {
        fail(at: .zero)
        failures.settle(try announcement(at: .seconds(300)), .unanswered, at: .seconds(300))
        failures.remove(pod: "web-0", at: .seconds(300))
        #expect(told(at: .seconds(300)) == [])
        failures.apply(pod: "web-0", on: "worker", using: ["data"], at: .seconds(300))
        #expect(told(at: .seconds(301)) == ["data: web-0 on worker"])
    }

    @Test mutating func aNamespaceThatIsGoneEndsIt() throws {
        fail(at: .zero)
        failures.settle(try announcement(at: .seconds(300)), .gone, at: .seconds(300))
        #expect(told(at: .seconds(300)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(301))
        #expect(told(at: .seconds(301)) == [])
    }

    // MARK: Rule 9

    @Test mutating func rule9_aFailureThatWasToldIsNotToldAgain() {
        failures.restore(toldFailureOf: "worker", to: .named("data"), toldAt: .seconds(-60))
        failures.apply(node: "worker", .notReady(since: .seconds(-1000)), at: .zero)
        #expect(told(at: .zero) == [])
        #expect(told(at: .seconds(1739)) == [])
        #expect(told(at: .seconds(1740)) == ["data: web-0 on worker"])
    }

    @Test mutating func rule9_aRecoveryWhileNobodyWatchedIsTold() {
        failures.restore(toldFailureOf: "worker", to: .named("data"), toldAt: .seconds(-60))
        #expect(told(at: .zero) == ["data: worker"])
    }

    @Test mutating func rule9_whosePodsMovedMeanwhileWaitsForTheNode() {
        failures.restore(toldFailureOf: "worker", to: .named("data"), toldAt: .seconds(-60))
        failures.remove(pod: "web-0", at: .zero)
        fail(at: .zero)
        #expect(told(at: .seconds(1000)) == [])
        failures.apply(node: "worker", .ready, at: .seconds(1001))
        #expect(told(at: .seconds(1001)) == ["data: worker"])
    }

    @Test mutating func rule9_aNodeThatIsGoneWithItsPodsIsForgotten() {
        failures.restore(toldFailureOf: "old", to: .named("data"), toldAt: .seconds(-60))
        #expect(told(at: .zero) == [])
        #expect(failures.concerns.isEmpty)
    }

    @Test mutating func rule9_aDeletedNodeThatPodsStillNameIsNotToldAgain() {
        failures.restore(toldFailureOf: "old", to: .named("data"), toldAt: .seconds(-60))
        failures.apply(pod: "web-0", on: "old", using: ["data"], at: .zero)
        #expect(told(at: .zero) == [])
        #expect(told(at: .seconds(301)) == [])
        failures.apply(node: "old", .ready, at: .seconds(302))
        #expect(told(at: .seconds(302)) == ["data: old"])
    }
}
