// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

struct OutboxTests {
    let first = Claim.named("first")
    let second = Claim.named("second")
    let broken = VolumeState.abnormal("broken")
    let well = VolumeState([])
    var outbox = Outbox<String, VolumeState>(timing: .lastingEvents)

    mutating func announcement(at now: Duration) throws -> Announcement<String, VolumeState> {
        let step = outbox.next(at: now)
        guard case .tell(let announcement) = step else {
            Issue.record("nothing to tell at \(now): \(step)")
            throw CancellationError()
        }
        return announcement
    }

    @Test mutating func transitionsComeBeforeRefreshesInTheOrderTheyWereFound() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        let later = Duration.seconds(1800)
        outbox.set(broken, for: "2", at: later)
        outbox.set(broken, for: "3", at: later)

        #expect(try announcement(at: later).claim == second)
        #expect(try announcement(at: later).claim.key.name == "third")
        let refresh = try announcement(at: later)
        #expect(refresh.claim == first)
        #expect(refresh.cause == .refresh)
    }

    @Test mutating func `adds count changes and what is tried again, not refreshes`() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.set(broken, for: "1", at: .seconds(1))
        #expect(outbox.adds == 1)
        outbox.settle(try announcement(at: .seconds(1)), .refused, at: .seconds(1))
        #expect(outbox.adds == 2)
        outbox.settle(try announcement(at: .seconds(60)), .told, at: .seconds(60))
        #expect(outbox.adds == 2)
    }

    @Test mutating func `a state holds since its status and reason are the same`() {
        outbox.set(broken, for: "1", at: .seconds(1))
        outbox.set(.abnormal("another message"), for: "1", at: .seconds(2))
        #expect(outbox.since("1") == .seconds(1))
        outbox.set(VolumeState([.init(status: .dataLoss, reason: "Gone", message: "")]), for: "1", at: .seconds(3))
        #expect(outbox.since("1") == .seconds(3))
        #expect(outbox.since("2") == nil)
    }

    @Test mutating func findingTheSameAgainKeepsThePlaceInTheQueue() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.set(broken, for: "2", at: .zero)
        outbox.set(broken, for: "1", at: .seconds(1))
        #expect(try announcement(at: .seconds(1)).claim == first)
        #expect(try announcement(at: .seconds(1)).claim == second)
        #expect(outbox.next(at: .seconds(1)) == .wait(until: nil))
    }

    @Test mutating func anUnreachableServerPausesEverythingAndLosesNothing() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.set(broken, for: "2", at: .zero)
        outbox.settle(try announcement(at: .zero), .unreachable, at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))

        outbox.settle(try announcement(at: .seconds(1)), .unreachable, at: .seconds(1))
        #expect(outbox.next(at: .seconds(1)) == .wait(until: .seconds(3)))

        var told: Set<String> = []
        for _ in 0..<2 {
            let announcement = try announcement(at: .seconds(3))
            told.insert(announcement.claim.key.name)
            outbox.settle(announcement, .told, at: .seconds(3))
        }
        #expect(told == ["first", "second"])
    }

    @Test mutating func retryAfterIsHonoured() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .failed(RequestFailure(retryAfter: .seconds(17))), at: .zero)
        #expect(outbox.next(at: .seconds(16)) == .wait(until: .seconds(17)))
        #expect(try announcement(at: .seconds(17)).claim == first)
    }

    @Test mutating func aRefusedAnnouncementDoesNotHoldUpTheOthers() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.set(broken, for: "2", at: .zero)
        outbox.settle(try announcement(at: .zero), .refused, at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))
        #expect(try announcement(at: .seconds(1)).claim == first)
    }

    @Test mutating func aRecoveryWhileTheAnnouncementIsUnderWayIsToldAfterIt() throws {
        outbox.set(broken, for: "1", at: .zero)
        let abnormal = try announcement(at: .zero)
        outbox.set(well, for: "1", at: .seconds(1))
        #expect(outbox.next(at: .seconds(1)) == .wait(until: nil))
        outbox.settle(abnormal, .told, at: .seconds(2))
        #expect(try announcement(at: .seconds(2)).state.isClear)
    }

    @Test mutating func aRecoveryWhileTheAnnouncementFailsIsNotTold() throws {
        outbox.set(broken, for: "1", at: .zero)
        let abnormal = try announcement(at: .zero)
        outbox.set(well, for: "1", at: .seconds(1))
        outbox.settle(abnormal, .refused, at: .seconds(2))
        #expect(outbox.next(at: .seconds(3600)) == .wait(until: nil))
        #expect(outbox.isEmpty)
    }

    @Test mutating func aRecoveryAfterALostAnswerIsTold() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .unanswered, at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))
        outbox.set(well, for: "1", at: .zero)
        let recovery = try announcement(at: .seconds(1))
        #expect(recovery.state.isClear)
        outbox.settle(recovery, .told, at: .seconds(1))
        #expect(outbox.isEmpty)
    }

    @Test mutating func aRelapseAfterARecoveryWhoseAnswerWasLostIsTold() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        outbox.set(well, for: "1", at: .seconds(1))
        outbox.settle(try announcement(at: .seconds(1)), .unanswered, at: .seconds(1))
        outbox.set(broken, for: "1", at: .seconds(1))
        let again = try announcement(at: .seconds(2))
        #expect(again.state == broken)
        #expect(again.cause == .transition)
    }

    @Test mutating func aRefreshWhoseAnswerWasLostIsARefresh() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        outbox.settle(try announcement(at: .seconds(1800)), .unanswered, at: .seconds(1800))
        #expect(try announcement(at: .seconds(1801)).cause == .refresh)
    }

    @Test mutating func whatWasNotAnsweredIsToldAgain() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .unanswered, at: .zero)
        let again = try announcement(at: .seconds(1))
        #expect(again.state == broken)
        #expect(again.cause == .transition)
    }

    @Test mutating func aRepetitionOfWhatMayHaveBeenToldIsTheSameTelling() throws {
        outbox.set(broken, for: "1", at: .zero)
        let attempt = try announcement(at: .seconds(5))
        outbox.settle(attempt, .unanswered, at: .seconds(6))
        let second = try announcement(at: .seconds(10))
        #expect(second.telling == attempt.telling)
        // Still the first one counts, and a refusal of another takes nothing back.
        outbox.settle(second, .unanswered, at: .seconds(11))
        let third = try announcement(at: .seconds(20))
        outbox.settle(third, .unreachable, at: .seconds(20))
        let fourth = try announcement(at: .seconds(60))
        #expect([third.telling, fourth.telling] == [attempt.telling, attempt.telling])
        outbox.settle(fourth, .told, at: .seconds(60))
        let refresh = try announcement(at: .seconds(3600))
        #expect(refresh.telling != attempt.telling)
    }

    @Test mutating func otherNewsThanThoseWhoseAnswerWasLostAreAnotherTelling() throws {
        outbox.set(broken, for: "1", at: .zero)
        let attempt = try announcement(at: .zero)
        outbox.settle(attempt, .unanswered, at: .zero)
        outbox.set(well, for: "1", at: .seconds(1))
        let recovery = try announcement(at: .seconds(1))
        #expect(recovery.telling != attempt.telling)
    }

    @Test mutating func aClaimThatIsGoneIsForgotten() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .gone, at: .zero)
        #expect(outbox.isEmpty)
        #expect(outbox.next(at: .seconds(3600)) == .wait(until: nil))
    }

    @Test mutating func anOutcomeThatComesAfterTheClaimWasForgottenChangesNothing() throws {
        outbox.set(broken, for: "1", at: .zero)
        let announcement = try announcement(at: .zero)
        outbox.remove("1")
        outbox.settle(announcement, .told, at: .zero)
        #expect(outbox.isEmpty)
    }

    @Test mutating func anOutcomeOfAnEarlierLifeIsNotTakenForThisOnes() throws {
        outbox.set(broken, for: "1", at: .zero)
        let earlier = try announcement(at: .zero)
        outbox.remove("1")
        outbox.set(broken, for: "1", at: .zero)
        let later = try announcement(at: .zero)
        outbox.settle(earlier, .told, at: .zero)
        outbox.settle(later, .refused, at: .zero)
        #expect(try announcement(at: .seconds(1)).cause == .transition)
    }

    @Test mutating func sweepsDoNotPileUpInTheQueues() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        for second in 1...1000 {
            outbox.set(broken, for: "1", at: .seconds(second))
        }
        #expect(outbox.queuedItems <= 2)
    }

    @Test mutating func manyThatFailTogetherAreOneFailure() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.set(broken, for: "2", at: .zero)
        let underWay = [try announcement(at: .zero), try announcement(at: .zero)]
        for announcement in underWay { outbox.settle(announcement, .unreachable, at: .zero) }
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))
    }

    /// OpenShift's `eventTTLMinutes` goes down to 5 (https://github.com/openshift/api/pull/2520).
    @Test mutating func `the time between refreshes follows an event lifetime of five minutes`() throws {
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        var last = Duration.zero
        var intervals: [Duration] = []
        for _ in 0..<7 {
            guard case .wait(let due?) = outbox.next(at: last) else { break }
            intervals.append(due - last)
            let refresh = try announcement(at: due)
            // Many more at the same time make no difference.
            if due - last > .seconds(300) { for _ in 0..<3 { outbox.shortenRefreshInterval(at: due) } }
            outbox.settle(refresh, .told, at: due)
            last = due
        }
        #expect(intervals == [1800, 900, 450, 225, 225, 225, 225].map { .seconds($0) })
    }

    @Test mutating func sinceIsWhenTheNewsBegan() throws {
        outbox.set(broken, for: "1", at: .seconds(5))
        outbox.set(.abnormal("other words"), for: "1", at: .seconds(9))
        #expect(try announcement(at: .seconds(10)).since == .seconds(5))
    }

    @Test mutating func rule9_whatAnotherProcessToldIsNotToldAgain() throws {
        outbox.restore(told: broken.fingerprint, for: "1", toldAt: .seconds(-600))
        #expect(outbox.next(at: .zero) == .wait(until: nil))
        outbox.set(broken, for: "1", at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1200)))
        #expect(try announcement(at: .seconds(1200)).cause == .refresh)
    }

    @Test mutating func rule9_theRecoveryFromWhatAnotherProcessToldIsTold() throws {
        outbox.restore(told: broken.fingerprint, for: "1", toldAt: .zero)
        outbox.set(well, for: "1", at: .zero)
        #expect(try announcement(at: .zero).state.isClear)
    }

    @Test mutating func rule9_otherNewsThanAnotherProcessToldAreToldAtOnce() throws {
        outbox.restore(told: Fingerprint(rawValue: 1), for: "1", toldAt: .zero)
        outbox.set(broken, for: "1", at: .zero)
        #expect(try announcement(at: .zero).cause == .transition)
    }

    @Test mutating func whatTheClusterShowsIsWhatWasTold() throws {
        outbox.observe(reported: broken, for: "1", at: .zero)
        outbox.set(broken, for: "1", at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1800)))
        // Somebody takes it away.
        outbox.observe(reported: well, for: "1", at: .seconds(1))
        #expect(try announcement(at: .seconds(1)).cause == .transition)
    }

    @Test mutating func whatIsToldOnceIsKeptAndNotToldAgain() throws {
        outbox = Outbox(timing: .singleEvents)
        outbox.set(broken, for: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        outbox.set(broken, for: "1", at: .seconds(1_000_000))
        #expect(outbox.next(at: .seconds(1_000_000)) == .wait(until: nil))
        #expect(outbox.contains("1"))
    }

    @Test mutating func theBacklogIsWhatWaitsToBeTold() throws {
        #expect(outbox.backlog == (0, nil))
        outbox.set(broken, for: "1", at: .seconds(3))
        outbox.set(broken, for: "2", at: .seconds(4))
        #expect(outbox.backlog == (2, .seconds(3)))
        let announcement = try announcement(at: .seconds(5))
        #expect(outbox.backlog == (2, .seconds(3)))
        outbox.settle(announcement, .told, at: .seconds(5))
        #expect(outbox.backlog == (1, .seconds(4)))
        outbox.remove("2")
        // A refresh is no news.
        _ = try self.announcement(at: .seconds(2000))
        #expect(outbox.backlog == (0, nil))
    }
}

extension Outbox<String, VolumeState> {
    /// As if these claims were there, and no others.
    fileprivate mutating func next(at now: Duration) -> ReportStep<String, VolumeState> {
        let names = ["1": "first", "2": "second", "3": "third"]
        return next(at: now) { names[$0].map { Claim.named($0) } }
    }
}
