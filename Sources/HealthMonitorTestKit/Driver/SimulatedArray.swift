// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The storage array behind a ``SimulatedDriver``: it serves a limited number of calls at a time, and the others wait
/// in the order of their arrival. A call's latency is its waiting time and its service time.
package final class SimulatedArray: Sendable {
    /// The load of an array in some time.
    package struct Load: Sendable {
        /// The latencies of the calls that ended, in ascending order, as the driver saw them.
        package var latencies: [Duration] = []
        /// The greatest number of calls that waited at the same time.
        package var deepestQueue = 0
        /// The time that this load is of.
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
    ///   - jitter: by how much a call's service time may differ from `serviceTime`, as a share of it; 0 to 1.
    ///   - seed: determines the sequence of service times.
    package init(servers: Int, serviceTime: Duration, jitter: Double = 0, seed: UInt64 = 0) {
        state = Mutex(State(queue: ArrayQueue(servers: servers, serviceTime: serviceTime, jitter: jitter, seed: seed)))
    }

    /// Returns when a call that arrives now has been served, or on cancellation. A cancelled call keeps its turn: an
    /// array finishes what it has accepted.
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

    /// The load since the last call of this method, at first since the array was made.
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

/// The schedule of an array: first come, first served, by the server that is free first.
///
/// A value: time is passed in as a `Duration` since a fixed moment, and does not go back.
struct ArrayQueue: Sendable {
    private let serviceTime: Duration
    private let jitter: Double
    private var random: SeededGenerator
    /// When each server will have finished the calls that it has accepted.
    private var freeAt: [Duration]
    /// When the service of the waiting calls begins, in ascending order.
    private var starts: [Duration] = []

    init(servers: Int, serviceTime: Duration, jitter: Double = 0, seed: UInt64 = 0) {
        self.serviceTime = serviceTime
        self.jitter = min(max(jitter, 0), 1)
        random = SeededGenerator(seed: seed)
        freeAt = Array(repeating: .zero, count: max(1, servers))
    }

    /// How many calls were waiting when the last one was admitted, including that one.
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
