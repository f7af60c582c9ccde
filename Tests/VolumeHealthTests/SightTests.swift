// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing
import VolumeHealth

struct SightTests {
    var sight = Sight()

    @Test mutating func `a sense that fails for the timeout ends the term`() {
        sight.failed(.driver, reason: "first", since: .seconds(100))
        sight.failed(.driver, reason: "second", since: .seconds(101))
        #expect(sight.verdict(timeout: .seconds(30), at: .seconds(129)) == .keepUntil(.seconds(130)))
        guard case .stepDown(let failure) = sight.verdict(timeout: .seconds(30), at: .seconds(130)) else {
            Issue.record("did not step down")
            return
        }
        #expect(failure.sense == .driver)
        #expect(failure.since == .seconds(100))
        #expect(failure.reason == "second")
        #expect(sight.failures == [failure])
    }

    @Test mutating func `calls can have a timeout of their own`() {
        for attempt in 0..<2 { sight.failed(.calls, reason: "no", since: .seconds(attempt)) }
        let until = sight.verdict(timeout: .seconds(30), callsTimeout: .seconds(60), at: .seconds(59))
        #expect(until == .keepUntil(.seconds(60)))
        for attempt in 20..<22 { sight.failed(.claims, reason: "no", since: .seconds(attempt)) }
        guard
            case .stepDown(let failure) = sight.verdict(
                timeout: .seconds(30),
                callsTimeout: .seconds(60),
                at: .seconds(59)
            )
        else {
            Issue.record("did not step down")
            return
        }
        #expect(failure.sense == .claims)
    }

    @Test mutating func `a single failed attempt never ends the term`() {
        sight.failed(.calls, reason: "once", since: .zero)
        #expect(sight.verdict(timeout: .seconds(30), at: .seconds(3600)) == .keep)
        sight.failed(.calls, reason: "twice", since: .seconds(3600))
        guard case .stepDown = sight.verdict(timeout: .seconds(30), at: .seconds(3600)) else {
            Issue.record("did not step down")
            return
        }
    }

    @Test mutating func `a success restarts the time of its own sense alone`() {
        for sense in [Sense.driver, .claims] {
            for attempt in 0..<2 { sight.failed(sense, reason: "no", since: .seconds(attempt)) }
        }
        let results = [sight.succeeded(.driver), sight.succeeded(.driver)]
        #expect(results == [true, false])
        #expect(sight.failure(of: .driver) == nil)
        #expect(sight.failures.map(\.sense) == [.claims])
        sight.failed(.driver, reason: "no", since: .seconds(29))
        sight.failed(.driver, reason: "no", since: .seconds(30))
        guard case .stepDown(let failure) = sight.verdict(timeout: .seconds(30), at: .seconds(30)) else {
            Issue.record("did not step down")
            return
        }
        #expect(failure.sense == .claims)
    }

    @Test mutating func `what failed before a term must fail in it as long as anything else`() {
        for attempt in 0..<5 { sight.failed(.calls, reason: "no", since: .seconds(attempt)) }
        sight.beginTerm(at: .seconds(100))
        #expect(sight.verdict(timeout: .seconds(30), at: .seconds(200)) == .keep)
        #expect(sight.failure(of: .calls)?.reason == "no")
        for _ in 0..<2 { sight.failed(.calls, reason: "no", since: .seconds(101)) }
        #expect(sight.verdict(timeout: .seconds(30), at: .seconds(129)) == .keepUntil(.seconds(130)))
    }
}
