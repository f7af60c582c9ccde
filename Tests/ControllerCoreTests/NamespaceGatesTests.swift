// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Rule 10: a namespace in which requests fail or hang does not delay the others.
struct NamespaceGatesTests {
    /// The keys are `namespace/name`.
    var queue = ReportQueue<String, VolumeState, Claim>(timing: .lastingEvents)
    var sent: [(time: Duration, pendingReport: PendingReport<String, VolumeState, Claim>)] = []

    mutating func setBroken(_ namespaces: String..., claims: Int, at now: Duration = .zero) {
        for claim in 0..<claims {
            for namespace in namespaces { queue.set(.abnormal("broken"), for: "\(namespace)/\(claim)", at: now) }
        }
    }

    /// The reports that are sent at this moment. They have no outcome yet.
    mutating func send(at now: Duration) -> [PendingReport<String, VolumeState, Claim>] {
        var found: [PendingReport<String, VolumeState, Claim>] = []
        while true {
            switch queue.next(at: now, target: Self.claim) {
            case .run(let pendingReport): found.append(pendingReport)
            case .wait(let due): if due != now { return found }
            }
        }
    }

    static func claim(_ key: String) -> Claim? {
        let parts = key.split(separator: "/").map(String.init)
        return Claim.named(parts[1], in: parts[0], uid: key)
    }

    /// Runs until a time, with one outcome for each namespace. Returns the seconds at which each namespace had a
    /// request.
    mutating func run(
        from start: Int = 0,
        to end: Int,
        _ outcome: (String) -> ReportOutcome
    ) -> [String: [Int]] {
        var requests: [String: [Int]] = [:]
        for second in start..<end {
            let now = Duration.seconds(second)
            while true {
                let sent = send(at: now)
                if sent.isEmpty { break }
                for pendingReport in sent {
                    requests[pendingReport.claim.key.namespace, default: []].append(second)
                    queue.complete(pendingReport, outcome(pendingReport.claim.key.namespace), at: now)
                }
            }
        }
        return requests
    }

    @Test mutating func `requests that hang in one namespace leave capacity for others`() {
        setBroken("hangs", "good", claims: 100)
        let sent = send(at: .zero)
        #expect(sent.count { $0.claim.key.namespace == "hangs" } == 4)
        let good = sent.filter { $0.claim.key.namespace == "good" }
        #expect(good.count == 4)
        for pendingReport in good { queue.complete(pendingReport, .reported, at: .zero) }
        let more = send(at: .zero)
        #expect(more.map(\.claim.key.namespace) == ["good", "good", "good", "good"])
    }

    @Test mutating func `a failing namespace gets one request at a time, with a growing back-off`() {
        setBroken("dead", claims: 200)
        let requests = run(to: 300) { _ in .failed(RequestFailure(isUncertain: true)) }
        // The first four were in flight together.
        #expect(requests["dead"] == [0, 0, 0, 0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
    }

    @Test mutating func `every claim of a failing namespace is attempted`() {
        setBroken("dead", claims: 8)
        var turns: Set<String> = []
        for second in 0..<300 {
            for pendingReport in send(at: .seconds(second)) {
                turns.insert(pendingReport.key)
                queue.complete(pendingReport, .failed(RequestFailure()), at: .seconds(second))
            }
        }
        #expect(turns.count == 8)
    }

    @Test mutating func `a new condition in another namespace is reported at once`() {
        setBroken("dead", claims: 200)
        _ = run(to: 600) { _ in .failed(RequestFailure()) }
        setBroken("good", claims: 1, at: .seconds(600))
        #expect(send(at: .seconds(600)).contains { $0.claim.key.namespace == "good" })
    }

    @Test mutating func `a success opens the namespace for all waiting claims`() {
        setBroken("dead", claims: 50)
        _ = run(to: 100) { _ in .failed(RequestFailure()) }
        let requests = run(from: 100, to: 200) { _ in .reported }
        // One at the end of the back-off, then all.
        #expect(requests["dead"]?.count == 50)
        #expect(requests["dead"]?.first == 123)
        #expect(requests["dead"]?.last == 123)
    }

    @Test mutating func `a claim that always fails does not delay others in its namespace`() {
        setBroken("mixed", claims: 20)
        var reported: Set<String> = []
        for second in 0..<60 {
            for pendingReport in send(at: .seconds(second)) {
                let isBad = pendingReport.key == "mixed/3"
                if !isBad { reported.insert(pendingReport.key) }
                queue.complete(pendingReport, isBad ? .failed(RequestFailure()) : .reported, at: .seconds(second))
            }
        }
        #expect(reported.count == 19)
    }

    @Test mutating func `Retry-After applies to its namespace`() {
        setBroken("limited", "good", claims: 10)
        let requests = run(to: 60) { namespace in
            namespace == "good" ? .reported : .failed(RequestFailure(retryAfter: .seconds(20)))
        }
        #expect(requests["good"] == Array(repeating: 0, count: 10))
        #expect(requests["limited"] == [0, 0, 0, 0, 20, 40])
    }

    @Test mutating func `failures in several namespaces without a success pause all, and one success ends the pause`() {
        let namespaces = (0..<50).map { "namespace-\($0)" }
        for namespace in namespaces { setBroken(namespace, claims: 4) }
        let requests = run(to: 600) { _ in .failed(RequestFailure()) }
        // The first four of three namespaces, then each namespace once, then each after its back-off.
        #expect(requests.values.joined().count <= 50 * (4 + 14))
        // A namespace that has not failed is tried at once.
        setBroken("new", claims: 1, at: .seconds(600))
        let probes = run(from: 600, to: 603) { $0 == "new" ? .reported : .failed(RequestFailure()) }
        #expect(probes["new"]?.count == 1)
        let after = run(from: 603, to: 670) { _ in .reported }
        #expect(after.values.joined().count == 200)
        #expect(after.values.joined().count { $0 > 605 } <= 3 * 4)
    }

    @Test mutating func `several failing namespaces do not delay others that succeed`() {
        setBroken("a", "b", "c", "d", claims: 20)
        for minute in 0..<20 {
            setBroken("good-\(minute)", claims: 1, at: .seconds(minute * 60))
            let requests = run(from: minute * 60, to: minute * 60 + 60) {
                $0.hasPrefix("good") ? .reported : .failed(RequestFailure())
            }
            let delay = (requests["good-\(minute)"]?.first).map { $0 - minute * 60 }
            #expect(delay.map { $0 <= 2 } == true, "minute \(minute)")
        }
    }

    @Test mutating func `a failing namespace is one warning`() {
        setBroken("dead", "good", claims: 10)
        var warnings = 0
        for second in 0..<300 {
            for pendingReport in send(at: .seconds(second)) {
                let isDead = pendingReport.claim.key.namespace == "dead"
                let outcome = isDead ? ReportOutcome.failed(RequestFailure()) : .reported
                if queue.complete(pendingReport, outcome, at: .seconds(second)) { warnings += 1 }
            }
        }
        #expect(warnings == 1)
    }

    /// Namespaces fail, hang or succeed in any order. No report is lost, and a namespace that always succeeds is served
    /// soon, even when most others have just begun to fail.
    @Test(arguments: 0..<50 as Range<UInt64>)
    mutating func `no namespace delays another, and in the end all claims are reported`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let namespaces = (0..<Int.random(in: 2...12, using: &random)).map { "n\($0)" }
        var isDead: [String: Bool] = [:]
        var hanging: [(end: Duration, pendingReport: PendingReport<String, VolumeState, Claim>)] = []
        /// For the namespace that always succeeds: the reported state of each claim, and the second since when it is
        /// outdated.
        var reported: [String: Bool] = [:]
        var changed: [String: Int] = [:]
        for second in 0..<400 {
            let now = Duration.seconds(second)
            if second % 50 == 0 {
                for namespace in namespaces { isDead[namespace] = Bool.random(using: &random) }
                isDead[namespaces[0]] = false
            }
            if second < 380 {
                let key = "\(namespaces.randomElement(using: &random) ?? "")/\(Int.random(in: 0..<20, using: &random))"
                let isBroken = Bool.random(using: &random)
                queue.set(isBroken ? .abnormal("broken") : VolumeState([]), for: key, at: now)
                if isBroken == reported[key, default: false] {
                    changed[key] = nil
                } else if changed[key] == nil {
                    changed[key] = second
                }
            }
            for (_, pendingReport) in hanging.filter({ $0.end <= now }) {
                queue.complete(pendingReport, .failed(RequestFailure(isUncertain: true)), at: now)
            }
            hanging.removeAll { $0.end <= now }
            while true {
                let sent = send(at: now)
                if sent.isEmpty { break }
                for pendingReport in sent {
                    let namespace = pendingReport.claim.key.namespace
                    if namespace == namespaces[0] {
                        changed[pendingReport.key] = nil
                        reported[pendingReport.key] = !pendingReport.state.isClear
                    }
                    if isDead[namespace] == false || second >= 380 {
                        queue.complete(pendingReport, .reported, at: now)
                    } else if Bool.random(using: &random) {
                        hanging.append((now + .seconds(10), pendingReport))
                    } else {
                        queue.complete(pendingReport, .failed(RequestFailure()), at: now)
                    }
                }
            }
            let late = changed.filter { $0.key.hasPrefix("\(namespaces[0])/") && second - $0.value > 10 }
            #expect(late.isEmpty, "seed \(seed), second \(second)")
        }
        for (_, pendingReport) in hanging { queue.complete(pendingReport, .reported, at: .seconds(400)) }
        _ = run(from: 400, to: 470) { _ in .reported }
        #expect(queue.backlog.depth == 0, "seed \(seed)")
    }
}
