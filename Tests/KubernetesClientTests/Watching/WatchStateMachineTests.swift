// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import KubernetesClient

@Suite struct WatchStateMachineTests {
    private func watching(from resourceVersion: String) -> WatchStateMachine {
        var machine = WatchStateMachine()
        machine.listed(resourceVersion: resourceVersion)
        return machine
    }

    @Test func `a list is followed by a watch`() {
        var machine = WatchStateMachine()
        #expect(machine.step == .watchList)
        machine.listed(resourceVersion: "10")
        #expect(machine.step == .watch(resourceVersion: "10"))
    }

    @Test(arguments: [KubernetesError.Code.invalid, .badRequest])
    func `a server without streaming lists is listed in pages at once`(_ code: KubernetesError.Code) {
        var machine = WatchStateMachine()
        #expect(machine.isRejectedStreamingList(code))
        #expect(machine.ended(.failed(code, retryAfter: nil, hasStatus: true), jitter: 0.5) == .zero)
        #expect(machine.step == .list)
        #expect(!machine.isRejectedStreamingList(code))
        #expect(machine.ended(.failed(code, retryAfter: nil), jitter: 0) == .milliseconds(800))
        machine.listed(resourceVersion: "10")
        // Later lists are paged too.
        _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
    }

    /// As in client-go: `ListAndWatchWithContext`. A load balancer has the same codes without a Status; with an old
    /// etcd the server fails with a Status within the stream.
    @Test(arguments: [
        (KubernetesError.Code.serverError, false), (.serverError, true), (.badRequest, false), (.invalid, false),
    ])
    func `a streaming list that is refused for another reason is paged at once, and the next one is streamed`(
        _ code: KubernetesError.Code,
        hasStatus: Bool
    ) {
        var machine = WatchStateMachine()
        #expect(machine.isRejectedStreamingList(code))
        #expect(machine.ended(.failed(code, retryAfter: nil, hasStatus: hasStatus), jitter: 0.5) == .zero)
        #expect(machine.step == .list)
        // Until a list is complete.
        _ = machine.ended(.failed(.timeout, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
        machine.listed(resourceVersion: "10")
        _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        #expect(machine.step == .watchList)
    }

    @Test func `after a stream that has failed the next list is streamed again`() {
        var machine = WatchStateMachine()
        machine.beganStreamingList()
        _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
        machine.listed(resourceVersion: "10")
        _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        #expect(machine.step == .watchList)
    }

    @Test(arguments: [KubernetesError.Code.transport, .timeout, .tooManyRequests, .forbidden, .decoding, .expired])
    func `a streaming list that fails is followed by a paged list`(_ code: KubernetesError.Code) {
        var machine = WatchStateMachine()
        machine.beganStreamingList()
        #expect(!machine.isRejectedStreamingList(code))
        #expect(machine.ended(.failed(code, retryAfter: .seconds(3)), jitter: 0) == .seconds(3))
        #expect(machine.step == .list)
    }

    /// An API server that is not available at the start may support streaming lists.
    @Test(arguments: [KubernetesError.Code.transport, .unauthorized, .tooManyRequests, .forbidden])
    func `a failure that is unrelated to lists does not end streaming lists`(_ code: KubernetesError.Code) {
        var machine = WatchStateMachine()
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .watchList)
        machine.beganStreamingList()
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
    }

    @Test func `a streaming list that ends early is followed by a paged list`() {
        var machine = WatchStateMachine()
        #expect(machine.ended(.closed(after: .milliseconds(1)), jitter: 0) == .milliseconds(800))
        #expect(machine.step == .list)
    }

    /// A server without streaming lists, whose paged lists have expired after a page.
    private func machine(expiredLists: Int) -> WatchStateMachine {
        var machine = WatchStateMachine()
        _ = machine.ended(.failed(.invalid, retryAfter: nil, hasStatus: true), jitter: 0)
        for _ in 0..<expiredLists {
            machine.receivedPage()
            _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        }
        return machine
    }

    @Test func `after two lists whose continue tokens have expired, one is without pages`() {
        #expect(machine(expiredLists: 1).step == .list)
        var machine = machine(expiredLists: 2)
        #expect(machine.step == .wholeList)
        machine.listed(resourceVersion: "10")
        #expect(machine.step == .watch(resourceVersion: "10"))
        // The next list is paged again, and may expire once.
        _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
        machine.receivedPage()
        _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
    }

    @Test(arguments: [KubernetesError.Code.timeout, .expired, .transport])
    func `a list without pages that fails is followed by a paged list`(_ code: KubernetesError.Code) {
        var machine = machine(expiredLists: 2)
        #expect(machine.ended(.failed(code, retryAfter: nil), jitter: 0) > .zero)
        #expect(machine.step == .list)
    }

    @Test func `a list that expires before its first page does not count`() {
        var machine = machine(expiredLists: 1)
        for _ in 0..<3 { _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0) }
        #expect(machine.step == .list)
    }

    @Test func `other failures between two expired lists do not matter`() {
        var machine = machine(expiredLists: 1)
        machine.receivedPage()
        _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0)
        #expect(machine.step == .list)
        machine.receivedPage()
        _ = machine.ended(.failed(.expired, retryAfter: nil), jitter: 0)
        #expect(machine.step == .wholeList)
    }

    @Test func `a watch that ends continues at once from the last version`() {
        var machine = watching(from: "10")
        #expect(machine.changed(resourceVersion: "12") == true)
        #expect(machine.ended(.closed(after: .zero), jitter: 0) == .zero)
        #expect(machine.step == .watch(resourceVersion: "12"))
        // Without an event, but open for a while.
        #expect(machine.ended(.closed(after: .seconds(300)), jitter: 0) == .zero)
        #expect(machine.step == .watch(resourceVersion: "12"))
    }

    @Test func `watches that end at once are delayed`() {
        var machine = watching(from: "10")
        let delays = (0..<7).map { _ in machine.ended(.closed(after: .milliseconds(1)), jitter: 0) }
        #expect(delays == [800, 1600, 3200, 6400, 12_800, 25_600, 30_000].map { .milliseconds($0) })
        #expect(machine.step == .watch(resourceVersion: "10"))
    }

    @Test(arguments: [KubernetesError.Code.expired, .badRequest, .invalid, .decoding])
    func `a version that cannot be used leads to a list`(_ code: KubernetesError.Code) {
        var machine = watching(from: "10")
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .watchList)
    }

    @Test(arguments: [KubernetesError.Code.tooManyRequests, .forbidden])
    func `rejections keep the version`(_ code: KubernetesError.Code) {
        var machine = watching(from: "10")
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .watch(resourceVersion: "10"))
    }

    @Test(arguments: [KubernetesError.Code.transport, .timeout, .serverError, .unauthorized])
    func `after other failures the version is checked`(_ code: KubernetesError.Code) {
        var machine = watching(from: "10")
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .checkVersion)
        // A failed check is repeated.
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .checkVersion)
        #expect(machine.checked(latest: "10") == true)
        #expect(machine.step == .watch(resourceVersion: "10"))
    }

    /// For a moment after its start, kube-apiserver refuses with 403 what its RBAC rules allow (run on 1.36.2).
    @Test(arguments: [KubernetesError.Code.tooManyRequests, .forbidden])
    func `a rejected check of the version is repeated`(_ code: KubernetesError.Code) {
        var machine = watching(from: "10")
        _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0)
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.step == .checkVersion)
    }

    @Test func `a server that was restored to an earlier version is listed again`() {
        var machine = watching(from: "100")
        _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0)
        #expect(machine.checked(latest: "99") == false)
        #expect(machine.step == .watchList)
    }

    @Test func `versions that are not numbers are not checked`() {
        var machine = watching(from: "b")
        _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0)
        #expect(machine.checked(latest: "a") == true)
        #expect(machine.step == .watch(resourceVersion: "b"))
    }

    @Test(arguments: [
        (KubernetesError.Code.tooManyRequests, true), (.serverError, true), (.transport, false), (.timeout, false),
        (.forbidden, false), (.expired, false),
    ])
    func `a refusal because of the server's load counts until a watch is open`(
        _ code: KubernetesError.Code,
        isOverloaded: Bool
    ) {
        var machine = watching(from: "10")
        _ = machine.ended(.failed(code, retryAfter: nil), jitter: 0)
        #expect(machine.isServerOverloaded == isOverloaded)
        // Other failures do not change that.
        _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0)
        #expect(machine.isServerOverloaded == isOverloaded)
        machine.openedWatch()
        #expect(!machine.isServerOverloaded)
        // However that watch ends.
        _ = machine.ended(.failed(.timeout, retryAfter: nil), jitter: 0)
        #expect(!machine.isServerOverloaded)
    }

    @Test func `a rejected streaming list does not count as overload`() {
        var machine = WatchStateMachine()
        _ = machine.ended(.failed(.serverError, retryAfter: nil), jitter: 0)
        #expect(!machine.isServerOverloaded)
    }

    @Test func `lists between expired watches do not reset the back-off`() {
        var machine = watching(from: "10")
        var delays: [Duration] = []
        for _ in 0..<3 {
            delays.append(machine.ended(.failed(.expired, retryAfter: nil), jitter: 0))
            machine.listed(resourceVersion: "10")
        }
        #expect(delays == [800, 1600, 3200].map { .milliseconds($0) })
    }

    @Test func `a change resets the back-off`() {
        var machine = watching(from: "10")
        for _ in 0..<4 { _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0) }
        #expect(machine.changed(resourceVersion: "11") == true)
        #expect(machine.ended(.failed(.transport, retryAfter: nil), jitter: 0) == .milliseconds(800))
    }

    @Test func `Retry-After is the minimum delay`() {
        var machine = watching(from: "10")
        #expect(machine.ended(.failed(.tooManyRequests, retryAfter: .seconds(7)), jitter: 0) == .seconds(7))
        #expect(machine.ended(.failed(.tooManyRequests, retryAfter: .seconds(1)), jitter: 0) == .milliseconds(1600))
    }

    @Test func `jitter adds up to the delay once more`() {
        var machine = watching(from: "10")
        #expect(machine.ended(.failed(.transport, retryAfter: nil), jitter: 0.5) == .milliseconds(1200))
        for _ in 0..<100 { _ = machine.ended(.failed(.transport, retryAfter: nil), jitter: 0) }
        #expect(machine.ended(.failed(.transport, retryAfter: nil), jitter: 1) == .seconds(60))
    }

    @Test func `versions do not go backwards`() {
        var machine = watching(from: "10")
        #expect(machine.changed(resourceVersion: "12") == true)
        #expect(machine.changed(resourceVersion: "12") == true)
        #expect(machine.changed(resourceVersion: "11") == false)
        #expect(machine.step == .watch(resourceVersion: "12"))
        // Compared as numbers, not as strings.
        #expect(machine.changed(resourceVersion: "100") == true)
    }

    @Test func `versions that are not numbers are not compared`() {
        var machine = watching(from: "b")
        #expect(machine.changed(resourceVersion: "a") == true)
        #expect(machine.step == .watch(resourceVersion: "a"))
    }
}
