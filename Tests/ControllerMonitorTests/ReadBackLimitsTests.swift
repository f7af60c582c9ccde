// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// Rule 9: how long the monitor waits for the events of earlier processes.
@Suite struct ReadBackLimitsTests {
    @Test func `reading back is attempted three times`() {
        var limits = ReadBackLimits()
        // The three attempts fail; nil: there is no fourth.
        let pauses = (0..<3).map { limits.pause(at: .seconds($0)) }
        #expect(pauses == [.seconds(5), .seconds(15), nil])
    }

    @Test func `no attempt begins more than a minute after the first failure`() {
        var limits = ReadBackLimits()
        #expect(limits.pause(at: .seconds(60)) == .seconds(5))
        // The second attempt fails late: a list that hangs ends only at the client's request timeout.
        #expect(limits.pause(at: .seconds(125)) == nil)
    }

    @Test func `only failures of the connection and 429 may concern all requests`() {
        let codes: [KubernetesError.Code] = [
            .transport, .tooManyRequests, .forbidden, .timeout, .serverError, .decoding, .unauthorized,
        ]
        let common = codes.filter { ReadBackLimits.mayConcernAllRequests(KubernetesError(code: $0, message: "")) }
        #expect(common == [.transport, .tooManyRequests])
        #expect(!ReadBackLimits.mayConcernAllRequests(nil))
    }

    /// During an outage of the API server a new leader cannot record events anyway, so it can keep trying to read back.
    @Test func `an outage of the API server does not count as an attempt`() {
        var limits = ReadBackLimits()
        let error = KubernetesError(code: .transport, message: "")
        for minute in 0..<60 {
            let pause = limits.pause(afterRefusal: error, isServing: false, at: .seconds(minute * 60))
            #expect(pause.map { $0 <= .seconds(60) } == true)
        }
        #expect(limits.pause(at: .seconds(3600)) == .seconds(5))
    }

    @Test func `Retry-After is honoured`() {
        var limits = ReadBackLimits()
        let throttled = KubernetesError(code: .tooManyRequests, message: "", retryAfter: .seconds(17))
        #expect(limits.pause(afterRefusal: throttled, isServing: true, at: .zero) == .seconds(17))
    }

    /// A load balancer that resets only this slow list; priority and fairness that rejects only this expensive list.
    @Test(arguments: [KubernetesError.Code.transport, .tooManyRequests])
    func `reading back ends a minute after only these lists have begun to fail`(code: KubernetesError.Code) {
        var limits = ReadBackLimits()
        let error = KubernetesError(code: code, message: "")
        var now = Duration.zero
        var attempts = 0
        while let pause = limits.pause(afterRefusal: error, isServing: true, at: now), attempts < 100 {
            attempts += 1
            now += pause
        }
        #expect(now >= .seconds(60))
        #expect(now <= .seconds(120))
    }

    /// An API server that comes back may refuse lists for some seconds.
    @Test func `the minute begins when the API server serves other requests`() {
        var limits = ReadBackLimits()
        let error = KubernetesError(code: .transport, message: "")
        let outage = limits.pause(afterRefusal: error, isServing: false, at: .zero)
        #expect(outage != nil)
        let back = limits.pause(afterRefusal: error, isServing: true, at: .seconds(600))
        #expect(back != nil)
        let again = limits.pause(afterRefusal: error, isServing: false, at: .seconds(650))
        #expect(again != nil)
        let later = limits.pause(afterRefusal: error, isServing: true, at: .seconds(700))
        #expect(later != nil)
        #expect(limits.pause(afterRefusal: error, isServing: true, at: .seconds(760)) == nil)
    }
}
