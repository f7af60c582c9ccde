// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A call that a ``SimulatedDriver`` received.
public struct SimulatedCall: Sendable {
    /// `/csi.v1.Controller/ListVolumes`
    public let method: String
    /// ListVolumes, ControllerListVolumeHealth: `max_entries`
    public private(set) var maxEntries = 0
    /// ListVolumes, ControllerListVolumeHealth: `starting_token`
    public private(set) var startingToken = ""
    /// ControllerGetVolume, ControllerGetVolumeHealth: `volume_id`
    public private(set) var volumeID = ""
    /// ControllerListVolumeHealth, ControllerGetVolumeHealth: `secrets`
    public private(set) var secrets: [String: String] = [:]

    init(method: String, request: [UInt8]) {
        self.method = method
        var reader = WireReader(request[...])
        while let (number, content) = try? reader.next() {
            switch (method.split(separator: "/").last, number, content) {
            case ("ListVolumes", 1, .varint(let value)), ("ControllerListVolumeHealth", 1, .varint(let value)):
                maxEntries = Int(truncatingIfNeeded: value)
            case ("ListVolumes", 2, .bytes(let bytes)), ("ControllerListVolumeHealth", 2, .bytes(let bytes)):
                startingToken = String(decoding: bytes, as: UTF8.self)
            case ("ControllerGetVolume", 1, .bytes(let bytes)), ("ControllerGetVolumeHealth", 1, .bytes(let bytes)):
                volumeID = String(decoding: bytes, as: UTF8.self)
            case ("ControllerListVolumeHealth", 3, .bytes(let entry)),
                ("ControllerGetVolumeHealth", 2, .bytes(let entry)):
                let (key, value) = Self.mapEntry(entry)
                secrets[key] = value
            default: break
            }
        }
    }

    /// An entry of a `map<string, string>`: key=1, value=2.
    private static func mapEntry(_ bytes: ArraySlice<UInt8>) -> (key: String, value: String) {
        var entry = ["", ""]
        var reader = WireReader(bytes)
        while let (number, content) = try? reader.next() {
            if case .bytes(let bytes) = content, (1...2).contains(number) {
                entry[number - 1] = String(decoding: bytes, as: UTF8.self)
            }
        }
        return (entry[0], entry[1])
    }
}

/// The calls of a driver, in their order. Tests look back, and wait for calls to come.
public final class CallJournal: Sendable {
    private struct State {
        var calls: [SimulatedCall] = []
        /// Tests that wait for calls; each is told once, of the next one.
        var waiters: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    /// All calls so far.
    public var calls: [SimulatedCall] { state.withLock { $0.calls } }

    /// The calls of one method so far, by its short name: `ListVolumes`.
    public func calls(_ method: String) -> [SimulatedCall] {
        calls.filter { $0.method.hasSuffix("/" + method) }
    }

    /// Returns when a method, by its short name, has been called so many times in all, or on cancellation.
    public func wait(for method: String, count: Int) async {
        while !Task.isCancelled {
            let (arrivals, waiter) = AsyncStream.makeStream(of: Void.self)
            let isReached = state.withLock { state in
                let isReached = state.calls.count { $0.method.hasSuffix("/" + method) } >= count
                if !isReached { state.waiters.append(waiter) }
                return isReached
            }
            if isReached { return }
            for await _ in arrivals {}
        }
    }

    func append(_ call: SimulatedCall) {
        let waiters = state.withLock { state in
            state.calls.append(call)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.finish() }
    }
}
