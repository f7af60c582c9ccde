// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import Testing

@Suite struct EventBurstTests {
    private var burst = EventBurst()

    @Test mutating func `20 events are not a burst`() {
        #expect(begins(at: (0..<20).map { .milliseconds($0) }) == nil)
        #expect(burst.end == nil)
        #expect(finish() == nil)
    }

    @Test mutating func `21 events within ten seconds are a burst, which names the first five claims`() {
        #expect(begins(at: (0..<20).map { .milliseconds($0 * 400) } + [.seconds(9)]) == 20)
        #expect(burst.end == .seconds(19))
        #expect(begins(at: [.seconds(12)]) == nil)
        #expect(burst.end == .seconds(22))
        #expect(finish() == .init(events: 22, claims: (0..<5).map(Self.claim), duration: .seconds(12)))
        #expect(burst.end == nil)
        #expect(finish() == nil)
    }

    @Test mutating func `events spread over more than ten seconds do not add up`() {
        #expect(begins(at: (0..<100).map { .milliseconds($0 * 500) }) == nil)
    }

    @Test mutating func `a burst can begin after other events`() {
        #expect(begins(at: [.zero] + Array(repeating: .seconds(10), count: 21)) == 21)
        #expect(finish() == .init(events: 21, claims: (1..<6).map(Self.claim), duration: .zero))
    }

    @Test mutating func `a long burst ends after a minute`() {
        #expect(begins(at: (0..<58).flatMap { Array(repeating: .seconds($0), count: 5) }) == 20)
        #expect(burst.end == .seconds(60))
        #expect(finish() == .init(events: 290, claims: (0..<5).map(Self.claim), duration: .seconds(57)))
    }

    @Test mutating func `a claim with many events is named once`() {
        for _ in 0..<30 { _ = burst.recorded(Self.claim(7), at: .zero) }
        #expect(finish()?.claims == [Self.claim(7)])
    }

    /// The number of the first event that begins a burst; each event is on a claim of its own.
    private mutating func begins(at times: [Duration]) -> Int? {
        var first: Int?
        for (number, time) in times.enumerated() where burst.recorded(Self.claim(number), at: time) {
            first = first ?? number
        }
        return first
    }

    private mutating func finish() -> EventBurst.Summary? { burst.finish() }

    private static func claim(_ number: Int) -> ClaimKey { ClaimKey(namespace: "shop", name: "data-\(number)") }
}
