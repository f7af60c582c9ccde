// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient
import Testing

@testable import VolumeStatus

@Suite struct WatchFailuresTests {
    private static let claims = WatchFailures.Watch(resource: "persistentvolumeclaims", fields: nil)
    private static let pods = WatchFailures.Watch(resource: "pods", fields: nil)
    private static let events = ["A", "B"].map { WatchFailures.Watch(resource: "events", fields: "reason=\($0)") }

    private struct Watches {
        var failures = WatchFailures()
        var count = 0

        /// Returns whether a warning is due. Every failure has another message.
        mutating func fail(_ watch: WatchFailures.Watch, _ code: KubernetesError.Code = .transport) -> Bool {
            count += 1
            let message = "list \(watch.resource): not connected after \(count) ms"
            return failures.add(KubernetesError(code: code, message: message), of: watch)
        }
    }

    @Test func `each resource has one warning however often its watches are retried`() {
        var watches = Watches()
        var warnings: [String] = []
        for _ in 0..<5 {
            for watch in [Self.claims, Self.pods] + Self.events where watches.fail(watch) {
                warnings.append(watch.resource)
            }
        }
        #expect(warnings == ["persistentvolumeclaims", "pods", "events"])
    }

    @Test func `failures that alternate have one warning each`() {
        var watches = Watches()
        var codes: [KubernetesError.Code] = []
        for code in [KubernetesError.Code.transport, .timeout, .transport, .forbidden, .timeout, .transport] {
            if watches.fail(Self.claims, code) { codes.append(code) }
        }
        #expect(codes == [.transport, .timeout, .forbidden])
    }

    @Test func `a failure that recurs after a recovery of its watch has a warning again`() {
        var watches = Watches()
        let first = watches.fail(Self.claims)
        watches.failures.recovered(Self.pods)
        let retried = watches.fail(Self.claims)
        watches.failures.recovered(Self.claims)
        let recurred = watches.fail(Self.claims)
        #expect([first, retried, recurred] == [true, false, true])
    }

    @Test func `a watch that works hides no failure of another one, and repeats none`() {
        var watches = Watches()
        let first = watches.fail(Self.events[0], .forbidden)
        watches.failures.recovered(Self.events[1])
        let retried = watches.fail(Self.events[0], .forbidden)
        let other = watches.fail(Self.events[1], .timeout)
        #expect([first, retried, other] == [true, false, true])
    }

    @Test func `an expired version has no warning`() {
        var watches = Watches()
        let expired = [watches.fail(Self.claims, .expired), watches.fail(Self.claims, .expired)]
        #expect(expired == [false, false])
    }

    /// After each list, the next one is streamed again.
    @Test(arguments: [KubernetesError.Code.badRequest, .invalid, .serverError])
    func `a rejected streaming list has no warning unless the paged list fails too`(code: KubernetesError.Code) {
        var watches = Watches()
        let rejected = watches.fail(Self.claims, code)
        watches.failures.recovered(Self.claims)
        let rejectedAgain = watches.fail(Self.claims, code)
        let paged = watches.fail(Self.claims, code)
        let pagedAgain = watches.fail(Self.claims, code)
        #expect([rejected, rejectedAgain, paged, pagedAgain] == [false, false, true, false])
    }
}
