// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A call that a ``SimulatedDriver`` received.
public struct SimulatedCall: Sendable {
    /// `/csi.v1.Controller/ListVolumes`
    public let method: String
    /// ListVolumes: `max_entries`
    public private(set) var maxEntries = 0
    /// ListVolumes: `starting_token`
    public private(set) var startingToken = ""
    /// ControllerGetVolume: `volume_id`
    public private(set) var volumeID = ""

    init(method: String, request: [UInt8]) {
        self.method = method
        var reader = WireReader(request[...])
        while let (number, content) = try? reader.next() {
            switch (method.split(separator: "/").last, number, content) {
            case ("ListVolumes", 1, .varint(let value)): maxEntries = Int(truncatingIfNeeded: value)
            case ("ListVolumes", 2, .bytes(let bytes)): startingToken = String(decoding: bytes, as: UTF8.self)
            case ("ControllerGetVolume", 1, .bytes(let bytes)): volumeID = String(decoding: bytes, as: UTF8.self)
            default: break
            }
        }
    }
}

/// The calls of a driver, in their order. Tests look back, and wait for calls to come.
public final class CallJournal: Sendable {
    private struct Waiter {
        var method: String
        var count: Int
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var calls: [SimulatedCall] = []
        var waiters: [Waiter] = []

        func count(_ method: String) -> Int { calls.count { $0.method.hasSuffix("/" + method) } }
    }

    private let state = Mutex(State())

    /// All calls so far.
    public var calls: [SimulatedCall] { state.withLock { $0.calls } }

    /// The calls of one method so far, by its short name: `ListVolumes`.
    public func calls(_ method: String) -> [SimulatedCall] {
        calls.filter { $0.method.hasSuffix("/" + method) }
    }

    /// Returns when a method, by its short name, has been called so many times in all.
    public func wait(for method: String, count: Int) async {
        await withCheckedContinuation { continuation in
            let isReached = state.withLock { state in
                let isReached = state.count(method) >= count
                if !isReached {
                    state.waiters.append(Waiter(method: method, count: count, continuation: continuation))
                }
                return isReached
            }
            if isReached { continuation.resume() }
        }
    }

    func append(_ call: SimulatedCall) {
        let reached = state.withLock { state in
            state.calls.append(call)
            let waiters = state.waiters
            state.waiters = waiters.filter { state.count($0.method) < $0.count }
            return waiters.filter { state.count($0.method) >= $0.count }
        }
        for waiter in reached { waiter.continuation.resume() }
    }
}
