// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore

/// Rule 8: the event of a lasting condition is refreshed before the API server deletes it.
@Suite(.timeLimit(.minutes(50))) struct ReportRefreshTests {
    struct Lasting: Reportable {
        var isClear: Bool { false }
        var fingerprint: Fingerprint { Fingerprint(rawValue: 7) }
    }

    struct Target: ReportTarget {
        var namespace: String
    }

    typealias Queue = ReportQueue<Int, Lasting, Target>

    static let interval = Duration.seconds(1800)

    /// An API server with a client at its rate limit: each request takes its share of a second.
    struct Server {
        let lifetime: Duration
        /// The default of `--kube-api-qps`.
        let request = Duration.seconds(1) / 50
        var written: [Int: (at: Duration, count: Int)] = [:]
        var now = Duration.zero
        /// The longest time between two writes of one event.
        var longest = Duration.zero
        var expired = 0

        /// Applies a report as ``KubernetesClient/EventRecorder`` does, and returns the event's count.
        mutating func record(_ report: Queue.Report) -> Int {
            // A transition is a POST; a refresh a PATCH, after a GET if the count is not known.
            now += report.cause == .refresh && report.count == nil ? request * 2 : request
            var count = 1
            if let last = written[report.key] {
                longest = max(longest, now - last.at)
                if now - last.at < lifetime {
                    count = (report.count ?? last.count) + 1
                    #expect(count == last.count + 1)
                } else {
                    // The PATCH has failed with 404: a POST.
                    now += request
                    expired += 1
                }
            }
            written[report.key] = (now, count)
            return count
        }

        mutating func serve(_ queue: inout Queue, until end: Duration) {
            while now < end {
                switch queue.next(at: now, target: { Target(namespace: "n\($0 % 50)") }) {
                case .run(let report):
                    queue.recorded(report, count: record(report), at: now)
                    queue.complete(report, .reported, at: now)
                case .wait(let due):
                    now = min(due ?? end, end)
                }
            }
        }
    }

    private func interval(of key: Int, in queue: Queue) -> Duration? {
        queue.entries[key].flatMap { entry in entry.scheduled.map { $0.due - entry.lastReported } }
    }

    @Test func `100,000 lasting conditions keep up at the default rate limit`() {
        var queue = Queue(timing: .lastingEvents)
        var server = Server(lifetime: .seconds(3600))
        for key in 0..<100_000 { queue.set(Lasting(), for: key, at: .zero) }
        server.serve(&queue, until: .seconds(6100))
        #expect(server.written.count == 100_000)
        #expect(server.written.values.count { $0.count >= 3 } == 100_000)
        #expect(server.expired == 0)
        #expect(server.longest < .seconds(2100))
        #expect(interval(of: 0, in: queue) == Self.interval)
    }

    @Test(.tags(.rule9)) func `100,000 conditions that an earlier leader reported keep up`() {
        var queue = Queue(timing: .lastingEvents)
        var server = Server(lifetime: .seconds(3600))
        server.now = .seconds(2000)
        for key in 0..<100_000 {
            // The earlier leader recorded 50 in a second.
            let time = server.request * key
            server.written[key] = (time, 4)
            queue.restore(reported: Lasting().fingerprint, for: key, reportedAt: time, count: 4)
            queue.set(Lasting(), for: key, at: server.now)
        }
        server.serve(&queue, until: .seconds(6100))
        #expect(server.written.values.count { $0.count >= 6 } == 100_000)
        #expect(server.expired == 0)
        #expect(server.longest < .seconds(2100))
        #expect(interval(of: 0, in: queue) == Self.interval)
    }

    @Test(arguments: [
        (age: Duration.seconds(1801), interval: Duration.seconds(900)),
        // The refresh is late: the API server was unreachable, or there are too many.
        (.seconds(3700), .seconds(1800)),
    ])
    func `an event that expired because its refresh was late does not shorten the interval`(
        age: Duration,
        interval: Duration
    ) throws {
        var queue = Queue(timing: .lastingEvents)
        var server = Server(lifetime: .seconds(1800))
        queue.set(Lasting(), for: 1, at: .zero)
        server.serve(&queue, until: .seconds(1))
        let reported = try #require(server.written[1]?.at)
        server.now = reported + age
        server.serve(&queue, until: reported + age + .seconds(1))
        #expect(server.expired == 1)
        #expect(self.interval(of: 1, in: queue) == interval)
        // The next term has the same API server.
        var next = Queue(timing: .lastingEvents, after: queue)
        next.set(Lasting(), for: 1, at: server.now)
        server.serve(&next, until: server.now + .seconds(1))
        #expect(self.interval(of: 1, in: next) == interval)
    }

    @Test func `a refresh raises the count that the last report returned`() throws {
        var queue = Queue(timing: .lastingEvents)
        queue.set(Lasting(), for: 1, at: .zero)
        // The event existed already.
        let first = try report(&queue, at: .zero)
        #expect(first.count == nil)
        queue.recorded(first, count: 5, at: .zero)
        queue.complete(first, .reported, at: .zero)
        // The response to a refresh is lost: its repetition writes the same count.
        let lost = try report(&queue, at: Self.interval)
        queue.complete(lost, .responseLost, at: Self.interval)
        let again = try report(&queue, at: Self.interval * 2)
        #expect([lost.count, again.count] == [5, 5])
        queue.recorded(again, count: 6, at: Self.interval * 2)
        queue.complete(again, .reported, at: Self.interval * 2)
        // What belongs to a report that is complete changes nothing.
        queue.recorded(again, count: 1, at: Self.interval * 2)
        #expect(try report(&queue, at: Self.interval * 3).count == 6)
    }

    private func report(_ queue: inout Queue, at now: Duration) throws -> Queue.Report {
        let step = queue.next(at: now) { _ in Target(namespace: "n") }
        return try #require(step.job, "nothing to report at \(now): \(step)")
    }
}
