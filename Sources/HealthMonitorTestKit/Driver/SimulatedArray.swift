// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The storage behind a ``SimulatedDriver``, with a queue of its own: it serves some calls at a time, each for about the
/// same time, and the others wait in the order of their arrival. A call's latency is its wait and its service.
///
/// It counts what it served; see ``takeLoad()``.
package final class SimulatedArray: Sendable {
    /// What an array did since it was last looked at.
    package struct Load: Sendable {
        /// The latencies of the calls that ended, in ascending order, as the driver saw them.
        package var latencies: [Duration] = []
        /// The most calls that waited at a time for their service to begin.
        package var deepestQueue = 0
        /// How long that is ago.
        package var observed = Duration.zero
    }

    private struct State {
        var queue: ArrayQueue
        var load = Load()
        var loadSince = ContinuousClock.now
    }

    private let start = ContinuousClock.now
    private let state: Mutex<State>

    /// - Parameters:
    ///   - servers: how many calls it serves at a time; at least 1.
    ///   - jitter: how far, as a share of `serviceTime`, the service of a call may be shorter or longer; 0 to 1.
    ///   - seed: decides the sequence of service times.
    package init(servers: Int, serviceTime: Duration, jitter: Double = 0, seed: UInt64 = 0) {
        state = Mutex(State(queue: ArrayQueue(servers: servers, serviceTime: serviceTime, jitter: jitter, seed: seed)))
    }

    /// Returns when a call that arrives now was served, or on cancellation, which does not give its turn to another call:
    /// an array finishes what it has accepted.
    func serve() async {
        let arrival = ContinuousClock.now
        let end = state.withLock { state in
            let end = state.queue.admit(at: arrival - start)
            state.load.deepestQueue = max(state.load.deepestQueue, state.queue.waiting)
            return end
        }
        guard (try? await ContinuousClock().sleep(until: start + end, tolerance: .zero)) != nil else { return }
        let latency = ContinuousClock.now - arrival
        state.withLock { $0.load.latencies.append(latency) }
    }

    /// What it did since the last call of this, or since it exists.
    package func takeLoad() -> Load {
        let now = ContinuousClock.now
        return state.withLock { state in
            var load = state.load
            load.latencies.sort()
            load.observed = now - state.loadSince
            state.load = Load()
            state.loadSince = now
            return load
        }
    }
}

/// When an array serves which call: first come, first served, by whichever server is free first.
///
/// Pure: time is passed in as a `Duration` since any fixed moment, and does not go back.
struct ArrayQueue: Sendable {
    private let serviceTime: Duration
    private let jitter: Double
    private var random: SeededGenerator
    /// When each server will have done what it has accepted.
    private var freeAt: [Duration]
    /// When the service of calls begins that have to wait; in ascending order.
    private var starts: [Duration] = []

    init(servers: Int, serviceTime: Duration, jitter: Double = 0, seed: UInt64 = 0) {
        self.serviceTime = serviceTime
        self.jitter = min(max(jitter, 0), 1)
        random = SeededGenerator(seed: seed)
        freeAt = Array(repeating: .zero, count: max(1, servers))
    }

    /// How many calls waited for their service when the last one was admitted, that one among them.
    var waiting: Int { starts.count }

    /// Admits a call; returns when its service ends.
    mutating func admit(at now: Duration) -> Duration {
        starts.removeAll { $0 <= now }
        let server = freeAt.indices.min { freeAt[$0] < freeAt[$1] } ?? 0
        let start = max(now, freeAt[server])
        if start > now { starts.append(start) }
        let end = start + serviceTime * (1 + jitter * Double.random(in: -1...1, using: &random))
        freeAt[server] = end
        return end
    }
}
