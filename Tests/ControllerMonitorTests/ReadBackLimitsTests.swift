// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// Rule 9: how long the monitor waits for the events of earlier processes.
@Suite struct ReadBackLimitsTests {
    @Test(arguments: [KubernetesError.Code.forbidden, .timeout, .serverError, .decoding])
    func `reading back is attempted three times`(code: KubernetesError.Code) {
        var limits = ReadBackLimits()
        let error = KubernetesError(code: code, message: "")
        // The three attempts fail; nil: there is no fourth.
        let pauses = (0..<3).map { limits.pause(after: error, at: .seconds($0)) }
        #expect(pauses == [.seconds(5), .seconds(15), nil])
    }

    @Test func `no attempt begins more than a minute after the first failure`() {
        var limits = ReadBackLimits()
        let error = KubernetesError(code: .timeout, message: "")
        #expect(limits.pause(after: error, at: .seconds(60)) == .seconds(5))
        // The second attempt fails late: a list that hangs ends only at the client's request timeout.
        #expect(limits.pause(after: error, at: .seconds(125)) == nil)
    }

    /// During an outage of the API server a new leader cannot record events anyway, so it can keep trying to read back.
    @Test func `an outage of the API server does not count as an attempt`() {
        var limits = ReadBackLimits()
        let error = KubernetesError(code: .transport, message: "")
        for minute in 0..<60 {
            let pause = limits.pause(after: error, at: .seconds(minute * 60))
            #expect(pause.map { $0 <= .seconds(60) } == true)
        }
        let throttled = KubernetesError(code: .tooManyRequests, message: "", retryAfter: .seconds(17))
        var unused = ReadBackLimits()
        #expect(unused.pause(after: throttled, at: .zero) == .seconds(17))
        #expect(limits.pause(after: KubernetesError(code: .forbidden, message: ""), at: .seconds(3600)) == .seconds(5))
    }
}
