// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import VolumeHealth

struct OutboxTests {
    let first = Claim.named("first")
    let second = Claim.named("second")
    let broken = [VolumeHealthCondition(abnormalMessage: "broken")]
    var outbox = Outbox(timing: ReportTiming())

    mutating func announcement(at now: Duration) throws -> Announcement {
        let step = outbox.next(at: now)
        guard case .tell(let announcement) = step else {
            Issue.record("nothing to tell at \(now): \(step)")
            throw CancellationError()
        }
        return announcement
    }

    @Test mutating func transitionsComeBeforeRefreshesInTheOrderTheyWereFound() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        let later = Duration.seconds(1800)
        outbox.set(broken, for: second, volumeHandle: "2", at: later)
        outbox.set(broken, for: .named("third"), volumeHandle: "3", at: later)

        #expect(try announcement(at: later).claim == second)
        #expect(try announcement(at: later).claim.key.name == "third")
        let refresh = try announcement(at: later)
        #expect(refresh.claim == first)
        #expect(refresh.cause == .refresh)
    }

    @Test mutating func findingTheSameAgainKeepsThePlaceInTheQueue() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.set(broken, for: second, volumeHandle: "2", at: .zero)
        outbox.set(broken, for: first, volumeHandle: "1", at: .seconds(1))
        #expect(try announcement(at: .seconds(1)).claim == first)
        #expect(try announcement(at: .seconds(1)).claim == second)
        #expect(outbox.next(at: .seconds(1)) == .wait(until: nil))
    }

    @Test mutating func anUnreachableServerPausesEverythingAndLosesNothing() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.set(broken, for: second, volumeHandle: "2", at: .zero)
        outbox.settle(try announcement(at: .zero), .unreachable(retryAfter: nil), at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))

        outbox.settle(try announcement(at: .seconds(1)), .unreachable(retryAfter: nil), at: .seconds(1))
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
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .unreachable(retryAfter: .seconds(17)), at: .zero)
        #expect(outbox.next(at: .seconds(16)) == .wait(until: .seconds(17)))
        #expect(try announcement(at: .seconds(17)).claim == first)
    }

    @Test mutating func aRefusedAnnouncementDoesNotHoldUpTheOthers() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.set(broken, for: second, volumeHandle: "2", at: .zero)
        outbox.settle(try announcement(at: .zero), .refused, at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))
        #expect(try announcement(at: .seconds(1)).claim == first)
    }

    @Test mutating func aRecoveryWhileTheAnnouncementIsUnderWayIsToldAfterIt() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        let abnormal = try announcement(at: .zero)
        outbox.set([], for: first, volumeHandle: "1", at: .seconds(1))
        #expect(outbox.next(at: .seconds(1)) == .wait(until: nil))
        outbox.settle(abnormal, .told, at: .seconds(2))
        #expect(try announcement(at: .seconds(2)).conditions.isEmpty)
    }

    @Test mutating func aRecoveryWhileTheAnnouncementFailsIsNotTold() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        let abnormal = try announcement(at: .zero)
        outbox.set([], for: first, volumeHandle: "1", at: .seconds(1))
        outbox.settle(abnormal, .refused, at: .seconds(2))
        #expect(outbox.next(at: .seconds(3600)) == .wait(until: nil))
        #expect(outbox.isEmpty)
    }

    @Test mutating func aRecoveryAfterALostAnswerIsTold() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .unanswered, at: .zero)
        #expect(outbox.next(at: .zero) == .wait(until: .seconds(1)))
        outbox.set([], for: first, volumeHandle: "1", at: .zero)
        let recovery = try announcement(at: .seconds(1))
        #expect(recovery.conditions.isEmpty)
        outbox.settle(recovery, .told, at: .seconds(1))
        #expect(outbox.isEmpty)
    }

    @Test mutating func whatWasNotAnsweredIsToldAgain() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .unanswered, at: .zero)
        let again = try announcement(at: .seconds(1))
        #expect(again.conditions == broken)
        #expect(again.cause == .transition)
    }

    @Test mutating func aClaimThatIsGoneIsForgotten() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .gone, at: .zero)
        #expect(outbox.isEmpty)
        #expect(outbox.next(at: .seconds(3600)) == .wait(until: nil))
    }

    @Test mutating func anOutcomeThatComesAfterTheClaimWasForgottenChangesNothing() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        let announcement = try announcement(at: .zero)
        outbox.remove(claimUID: first.uid)
        outbox.settle(announcement, .told, at: .zero)
        #expect(outbox.isEmpty)
    }

    @Test mutating func sweepsDoNotPileUpInTheQueues() throws {
        outbox.set(broken, for: first, volumeHandle: "1", at: .zero)
        outbox.settle(try announcement(at: .zero), .told, at: .zero)
        for second in 1...1000 {
            outbox.set(broken, for: first, volumeHandle: "1", at: .seconds(second))
        }
        #expect(outbox.queuedItems <= 2)
    }
}
