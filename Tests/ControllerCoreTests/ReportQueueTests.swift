// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct ReportQueueTests {
    let first = Claim.named("first")
    let second = Claim.named("second")
    let broken = VolumeState.abnormal("broken")
    let healthy = VolumeState([])
    var queue = ReportQueue<String, VolumeState, Claim>(timing: .lastingEvents)

    mutating func pendingReport(at now: Duration) throws -> PendingReport<String, VolumeState, Claim> {
        let step = queue.next(at: now)
        return try #require(step.job, "nothing to report at \(now): \(step)")
    }

    @Test mutating func `transitions come before refreshes, in the order they were found`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        let later = Duration.seconds(1800)
        queue.set(broken, for: "2", at: later)
        queue.set(broken, for: "3", at: later)

        #expect(try pendingReport(at: later).claim == second)
        #expect(try pendingReport(at: later).claim.key.name == "third")
        let refresh = try pendingReport(at: later)
        #expect(refresh.claim == first)
        #expect(refresh.cause == .refresh)
    }

    @Test mutating func `adds count changes and retries, not refreshes`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.set(broken, for: "1", at: .seconds(1))
        #expect(queue.adds == 1)
        queue.complete(try pendingReport(at: .seconds(1)), .refused, at: .seconds(1))
        #expect(queue.adds == 2)
        queue.complete(try pendingReport(at: .seconds(60)), .reported, at: .seconds(60))
        #expect(queue.adds == 2)
    }

    @Test mutating func `a state holds since its status or reason last changed`() {
        queue.set(broken, for: "1", at: .seconds(1))
        queue.set(.abnormal("another message"), for: "1", at: .seconds(2))
        #expect(queue.since("1") == .seconds(1))
        queue.set(VolumeState([.init(status: .dataLoss, reason: "Gone", message: "")]), for: "1", at: .seconds(3))
        #expect(queue.since("1") == .seconds(3))
        #expect(queue.since("2") == nil)
    }

    /// Reading back may succeed late, while a namespace takes no events.
    @Test(.tags(.rule9))
    mutating func `what an earlier process reported is ended, even if it was read back while its report waited`()
        throws
    {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .failed(RequestFailure(isForbidden: true)), at: .zero)
        queue.restore(reported: broken.fingerprint, for: "1", reportedAt: .zero)
        queue.set(healthy, for: "1", at: .seconds(1))
        #expect(try pendingReport(at: .seconds(300)).state.isClear)
    }

    @Test mutating func `the same state again keeps its place in the queue`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.set(broken, for: "2", at: .zero)
        queue.set(broken, for: "1", at: .seconds(1))
        #expect(try pendingReport(at: .seconds(1)).claim == first)
        #expect(try pendingReport(at: .seconds(1)).claim == second)
        #expect(queue.next(at: .seconds(1)) == .wait(until: nil))
    }

    @Test mutating func `an unreachable server pauses all reports and loses none`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.set(broken, for: "2", at: .zero)
        queue.complete(try pendingReport(at: .zero), .unreachable, at: .zero)
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1)))

        queue.complete(try pendingReport(at: .seconds(1)), .unreachable, at: .seconds(1))
        #expect(queue.next(at: .seconds(1)) == .wait(until: .seconds(3)))

        var reported: Set<String> = []
        for _ in 0..<2 {
            let pendingReport = try pendingReport(at: .seconds(3))
            reported.insert(pendingReport.claim.key.name)
            queue.complete(pendingReport, .reported, at: .seconds(3))
        }
        #expect(reported == ["first", "second"])
    }

    @Test mutating func `Retry-After is honoured`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .failed(RequestFailure(retryAfter: .seconds(17))), at: .zero)
        #expect(queue.next(at: .seconds(16)) == .wait(until: .seconds(17)))
        #expect(try pendingReport(at: .seconds(17)).claim == first)
    }

    @Test mutating func `a refused report does not delay the others`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.set(broken, for: "2", at: .zero)
        queue.complete(try pendingReport(at: .zero), .refused, at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1)))
        #expect(try pendingReport(at: .seconds(1)).claim == first)
    }

    @Test mutating func `a recovery during a report is reported after it`() throws {
        queue.set(broken, for: "1", at: .zero)
        let abnormal = try pendingReport(at: .zero)
        queue.set(healthy, for: "1", at: .seconds(1))
        #expect(queue.next(at: .seconds(1)) == .wait(until: nil))
        queue.complete(abnormal, .reported, at: .seconds(2))
        #expect(try pendingReport(at: .seconds(2)).state.isClear)
    }

    @Test mutating func `a recovery during a report that fails is not reported`() throws {
        queue.set(broken, for: "1", at: .zero)
        let abnormal = try pendingReport(at: .zero)
        queue.set(healthy, for: "1", at: .seconds(1))
        queue.complete(abnormal, .refused, at: .seconds(2))
        #expect(queue.next(at: .seconds(3600)) == .wait(until: nil))
        #expect(queue.isEmpty)
    }

    @Test mutating func `a recovery after a lost response is reported`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .responseLost, at: .zero)
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1)))
        queue.set(healthy, for: "1", at: .zero)
        let recovery = try pendingReport(at: .seconds(1))
        #expect(recovery.state.isClear)
        queue.complete(recovery, .reported, at: .seconds(1))
        #expect(queue.isEmpty)
    }

    @Test mutating func `a relapse after a recovery whose response was lost is reported`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        queue.set(healthy, for: "1", at: .seconds(1))
        queue.complete(try pendingReport(at: .seconds(1)), .responseLost, at: .seconds(1))
        queue.set(broken, for: "1", at: .seconds(1))
        let again = try pendingReport(at: .seconds(2))
        #expect(again.state == broken)
        #expect(again.cause == .transition)
    }

    @Test mutating func `a refresh whose response was lost is a refresh again`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        queue.complete(try pendingReport(at: .seconds(1800)), .responseLost, at: .seconds(1800))
        #expect(try pendingReport(at: .seconds(1801)).cause == .refresh)
    }

    @Test mutating func `a report without a response is repeated`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .responseLost, at: .zero)
        let again = try pendingReport(at: .seconds(1))
        #expect(again.state == broken)
        #expect(again.cause == .transition)
    }

    @Test mutating func `a repeated report keeps its attempt ID`() throws {
        queue.set(broken, for: "1", at: .zero)
        let attempt = try pendingReport(at: .seconds(5))
        queue.complete(attempt, .responseLost, at: .seconds(6))
        let second = try pendingReport(at: .seconds(10))
        #expect(second.attemptID == attempt.attemptID)
        // The first attempt still counts. The refusal of a repetition takes nothing back.
        queue.complete(second, .responseLost, at: .seconds(11))
        let third = try pendingReport(at: .seconds(20))
        queue.complete(third, .unreachable, at: .seconds(20))
        let fourth = try pendingReport(at: .seconds(60))
        #expect([third.attemptID, fourth.attemptID] == [attempt.attemptID, attempt.attemptID])
        queue.complete(fourth, .reported, at: .seconds(60))
        let refresh = try pendingReport(at: .seconds(3600))
        #expect(refresh.attemptID != attempt.attemptID)
    }

    @Test mutating func `another state after a lost response is another attempt`() throws {
        queue.set(broken, for: "1", at: .zero)
        let attempt = try pendingReport(at: .zero)
        queue.complete(attempt, .responseLost, at: .zero)
        queue.set(healthy, for: "1", at: .seconds(1))
        let recovery = try pendingReport(at: .seconds(1))
        #expect(recovery.attemptID != attempt.attemptID)
    }

    @Test mutating func `a claim that is gone is forgotten`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .gone, at: .zero)
        #expect(queue.isEmpty)
        #expect(queue.next(at: .seconds(3600)) == .wait(until: nil))
    }

    @Test mutating func `an outcome that arrives after the claim was forgotten changes nothing`() throws {
        queue.set(broken, for: "1", at: .zero)
        let pendingReport = try pendingReport(at: .zero)
        queue.remove("1")
        queue.complete(pendingReport, .reported, at: .zero)
        #expect(queue.isEmpty)
    }

    @Test mutating func `an outcome for an earlier entry of the same key changes nothing`() throws {
        queue.set(broken, for: "1", at: .zero)
        let earlier = try pendingReport(at: .zero)
        queue.remove("1")
        queue.set(broken, for: "1", at: .zero)
        let later = try pendingReport(at: .zero)
        queue.complete(earlier, .reported, at: .zero)
        queue.complete(later, .refused, at: .zero)
        #expect(try pendingReport(at: .seconds(1)).cause == .transition)
    }

    @Test mutating func `repeated sweeps do not grow the queues`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        for second in 1...1000 {
            queue.set(broken, for: "1", at: .seconds(second))
        }
        #expect(queue.queuedItems <= 2)
    }

    @Test mutating func `failures of reports in flight together count as one`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.set(broken, for: "2", at: .zero)
        let underWay = [try pendingReport(at: .zero), try pendingReport(at: .zero)]
        for pendingReport in underWay { queue.complete(pendingReport, .unreachable, at: .zero) }
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1)))
    }

    /// OpenShift's `eventTTLMinutes` can be as low as 5 (https://github.com/openshift/api/pull/2520).
    @Test mutating func `the refresh interval follows an event lifetime of five minutes`() throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        var last = Duration.zero
        var intervals: [Duration] = []
        for _ in 0..<7 {
            guard case .wait(let due?) = queue.next(at: last) else { break }
            intervals.append(due - last)
            let refresh = try pendingReport(at: due)
            // More of them at the same time make no difference.
            for _ in 0..<3 { queue.recorded(refresh, count: due - last > .seconds(300) ? 1 : 2, at: due) }
            queue.complete(refresh, .reported, at: due)
            last = due
        }
        #expect(intervals == [1800, 900, 450, 225, 225, 225, 225].map { .seconds($0) })
    }

    @Test mutating func `since is when the state began, not its message`() throws {
        queue.set(broken, for: "1", at: .seconds(5))
        queue.set(.abnormal("other words"), for: "1", at: .seconds(9))
        #expect(try pendingReport(at: .seconds(10)).since == .seconds(5))
    }

    @Test(.tags(.rule9)) mutating func `a state that another process reported is not reported again`() throws {
        queue.restore(reported: broken.fingerprint, for: "1", reportedAt: .seconds(-600))
        #expect(queue.next(at: .zero) == .wait(until: nil))
        queue.set(broken, for: "1", at: .zero)
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1200)))
        #expect(try pendingReport(at: .seconds(1200)).cause == .refresh)
    }

    @Test(.tags(.rule9)) mutating func `the recovery from a state that another process reported is reported`() throws {
        queue.restore(reported: broken.fingerprint, for: "1", reportedAt: .zero)
        queue.set(healthy, for: "1", at: .zero)
        #expect(try pendingReport(at: .zero).state.isClear)
    }

    @Test(.tags(.rule9)) mutating func `a change since another process reported is reported at once`() throws {
        queue.restore(reported: Fingerprint(rawValue: 1), for: "1", reportedAt: .zero)
        queue.set(broken, for: "1", at: .zero)
        #expect(try pendingReport(at: .zero).cause == .transition)
    }

    @Test mutating func `what the cluster shows counts as reported`() throws {
        queue.observe(reported: broken, for: "1", at: .zero)
        queue.set(broken, for: "1", at: .zero)
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1800)))
        // Another client removes it.
        queue.observe(reported: healthy, for: "1", at: .seconds(1))
        #expect(try pendingReport(at: .seconds(1)).cause == .transition)
    }

    @Test mutating func `a single event is kept and not reported again`() throws {
        queue = ReportQueue(timing: .singleEvents)
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        queue.set(broken, for: "1", at: .seconds(1_000_000))
        #expect(queue.next(at: .seconds(1_000_000)) == .wait(until: nil))
        #expect(queue.contains("1"))
    }

    @Test mutating func `the backlog is what waits to be reported`() throws {
        #expect(queue.backlog == (0, nil))
        queue.set(broken, for: "1", at: .seconds(3))
        queue.set(broken, for: "2", at: .seconds(4))
        #expect(queue.backlog == (2, .seconds(3)))
        let pendingReport = try pendingReport(at: .seconds(5))
        #expect(queue.backlog == (2, .seconds(3)))
        queue.complete(pendingReport, .reported, at: .seconds(5))
        #expect(queue.backlog == (1, .seconds(4)))
        queue.remove("2")
        // A refresh does not count.
        _ = try self.pendingReport(at: .seconds(2000))
        #expect(queue.backlog == (0, nil))
    }

    @Test mutating func `only reports that have failed and wait are failing`() throws {
        queue.set(broken, for: "1", at: .seconds(1))
        queue.set(broken, for: "2", at: .seconds(2))
        #expect(queue.failing == nil)
        queue.complete(try pendingReport(at: .seconds(3)), .refused, at: .seconds(3))
        #expect(queue.failing == FailingReports(count: 1, since: .seconds(3)))
        queue.complete(try pendingReport(at: .seconds(3)), .failed(RequestFailure()), at: .seconds(5))
        #expect(queue.failing == FailingReports(count: 2, since: .seconds(3)))
        // Another attempt does not change since when.
        let retried = try pendingReport(at: .seconds(100))
        #expect(queue.failing == FailingReports(count: 2, since: .seconds(3)))
        queue.complete(retried, .reported, at: .seconds(100))
        #expect(queue.failing?.count == 1)
        queue.set(healthy, for: "2", at: .seconds(101))
        #expect(queue.failing?.count == (retried.key == "2" ? 1 : nil))
        queue.remove("1")
        #expect(queue.failing == nil)
    }

    @Test(arguments: [.refused, .failed(RequestFailure()), .unreachable, .responseLost] as [ReportOutcome])
    mutating func `a refresh fails until it is recorded or no longer needed`(outcome: ReportOutcome) throws {
        queue.set(broken, for: "1", at: .zero)
        queue.complete(try pendingReport(at: .zero), .reported, at: .zero)
        #expect(queue.failing == nil)
        for now in [Duration.seconds(1800), .seconds(3600)] {
            queue.complete(try pendingReport(at: now), outcome, at: now)
            #expect(queue.failing == FailingReports(count: 1, since: .seconds(1800)))
        }
        // A transition that was not attempted yet.
        queue.set(healthy, for: "1", at: .seconds(3601))
        queue.set(broken, for: "1", at: .seconds(3602))
        #expect(queue.failing == FailingReports(count: 1, since: .seconds(1800)))
        queue.complete(try pendingReport(at: .seconds(7200)), .reported, at: .seconds(7200))
        #expect(queue.failing == nil)
    }

    /// Random states, attempts and outcomes, against a model that knows of each key since when its report fails.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `a report fails from its first failure until it is recorded or no longer needed`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = ReportQueue<String, VolumeState, Claim>(timing: .singleEvents)
        var failures: [String: Duration] = [:]
        var underWay: [PendingReport<String, VolumeState, Claim>] = []
        var now = Duration.zero
        for _ in 0..<300 {
            now += .seconds(Int.random(in: 0...20, using: &random))
            switch Int.random(in: 0...3, using: &random) {
            case 0:
                let key = ["1", "2", "3"].randomElement(using: &random) ?? "1"
                let state = [broken, .abnormal("other"), healthy].randomElement(using: &random) ?? broken
                queue.set(state, for: key, at: now)
            case 1:
                if case .run(let report) = queue.next(at: now) { underWay.append(report) }
            case 2 where !underWay.isEmpty:
                let report = underWay.remove(at: Int.random(in: 0..<underWay.count, using: &random))
                let outcome = Self.outcomes.randomElement(using: &random) ?? .reported
                queue.complete(report, outcome, at: now)
                failures[report.key] = outcome == .reported || outcome == .gone ? nil : failures[report.key] ?? now
            default:
                // A key is not removed during its attempt, whose outcome then changes nothing.
                let key = ["1", "2", "3"].randomElement(using: &random) ?? "1"
                if !underWay.contains(where: { $0.key == key }) { queue.remove(key) }
            }
            let needed = queue.transitions.union(underWay.map(\.key))
            failures = failures.filter { needed.contains($0.key) }
            #expect(queue.failing?.count ?? 0 == failures.count)
            #expect(queue.failing?.since == failures.values.min())
        }
    }

    private static let outcomes: [ReportOutcome] = [
        .reported, .refused, .failed(RequestFailure()), .unreachable, .responseLost, .gone,
    ]

    @Test mutating func `a report knows when it was due, and is under way since it was handed out`() throws {
        queue.set(broken, for: "1", at: .seconds(3))
        let first = try pendingReport(at: .seconds(5))
        #expect(first.due == .seconds(3))
        #expect(queue.beginningsUnderWay == [.seconds(5)])
        queue.complete(first, .reported, at: .seconds(6))
        #expect(queue.beginningsUnderWay.isEmpty)
        let refresh = try pendingReport(at: .seconds(2000))
        #expect(refresh.due == .seconds(1806))
        #expect(queue.beginningsUnderWay == [.seconds(2000)])
    }
}

extension ReportQueue<String, VolumeState, Claim> {
    /// The keys whose transitions wait.
    fileprivate var transitions: Set<String> {
        Set(entries.filter { $0.value.scheduled?.cause == .transition }.keys)
    }

    /// Resolves the keys of three claims, and no others.
    fileprivate mutating func next(at now: Duration) -> NextStep<PendingReport<String, VolumeState, Claim>> {
        let names = ["1": "first", "2": "second", "3": "third"]
        return next(at: now) { names[$0].map { Claim.named($0) } }
    }
}
