// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

struct DependencyHealthTests {
    var health = DependencyHealth()

    @Test mutating func `a dependency that fails for the timeout ends the term`() {
        health.failed(.driver, reason: "first", since: .seconds(100))
        health.failed(.driver, reason: "second", since: .seconds(101))
        #expect(health.verdict(timeout: .seconds(30), at: .seconds(129)) == .keepUntil(.seconds(130)))
        guard case .stepDown(let failure) = health.verdict(timeout: .seconds(30), at: .seconds(130)) else {
            Issue.record("did not step down")
            return
        }
        #expect(failure.dependency == .driver)
        #expect(failure.since == .seconds(100))
        #expect(failure.reason == "second")
        #expect(health.failures == [failure])
    }

    @Test mutating func `calls can have a timeout of their own`() {
        for attempt in 0..<2 { health.failed(.calls, reason: "no", since: .seconds(attempt)) }
        let until = health.verdict(timeout: .seconds(30), callsTimeout: .seconds(60), at: .seconds(59))
        #expect(until == .keepUntil(.seconds(60)))
        for attempt in 20..<22 { health.failed(.claims, reason: "no", since: .seconds(attempt)) }
        guard
            case .stepDown(let failure) = health.verdict(
                timeout: .seconds(30),
                callsTimeout: .seconds(60),
                at: .seconds(59)
            )
        else {
            Issue.record("did not step down")
            return
        }
        #expect(failure.dependency == .claims)
    }

    @Test mutating func `a single failed attempt never ends the term`() {
        health.failed(.calls, reason: "once", since: .zero)
        #expect(health.verdict(timeout: .seconds(30), at: .seconds(3600)) == .keep)
        health.failed(.calls, reason: "twice", since: .seconds(3600))
        guard case .stepDown = health.verdict(timeout: .seconds(30), at: .seconds(3600)) else {
            Issue.record("did not step down")
            return
        }
    }

    @Test mutating func `a success restarts the time of its own dependency alone`() {
        for dependency in [Dependency.driver, .claims] {
            for attempt in 0..<2 { health.failed(dependency, reason: "no", since: .seconds(attempt)) }
        }
        let results = [health.succeeded(.driver), health.succeeded(.driver)]
        #expect(results == [true, false])
        #expect(health.failure(of: .driver) == nil)
        #expect(health.failures.map(\.dependency) == [.claims])
        health.failed(.driver, reason: "no", since: .seconds(29))
        health.failed(.driver, reason: "no", since: .seconds(30))
        guard case .stepDown(let failure) = health.verdict(timeout: .seconds(30), at: .seconds(30)) else {
            Issue.record("did not step down")
            return
        }
        #expect(failure.dependency == .claims)
    }

    @Test mutating func `what failed before a term must fail in it as long as anything else`() {
        for attempt in 0..<5 { health.failed(.calls, reason: "no", since: .seconds(attempt)) }
        health.beginTerm(at: .seconds(100))
        #expect(health.verdict(timeout: .seconds(30), at: .seconds(200)) == .keep)
        #expect(health.failure(of: .calls)?.reason == "no")
        for _ in 0..<2 { health.failed(.calls, reason: "no", since: .seconds(101)) }
        #expect(health.verdict(timeout: .seconds(30), at: .seconds(129)) == .keepUntil(.seconds(130)))
    }
}
