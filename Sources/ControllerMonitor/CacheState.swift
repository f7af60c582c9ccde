// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import Synchronization

/// Whether the cache that a watch fills is up to date, which the beginning of a term requires.
///
/// Within a term, a watch that fails retries with its own back-off, and the monitor continues with the cache as it is.
/// A term must not begin with an outdated cache: the last leader may have recorded events on claims that the cache does
/// not have, and these would be recorded again (rule 9).
final class CacheState: Sendable {
    private enum State {
        /// The list is not complete.
        case listing
        /// The list is complete and the watch is open.
        case synced
        /// The list or the watch has failed and was not opened again.
        case failed
    }

    private let state = Mutex(State.listing)
    private let changed = WakeUp()
    /// The watch is to begin again, with a list.
    private let relist = WakeUp()

    /// What was observed of the watch.
    struct Activity: Sendable {
        /// Whether the watch was begun: a standby without a warm cache has none.
        var hasBegun = false
        /// When the last event, bookmark or reopening arrived.
        var lastReceived: Duration?
        /// Since when the watch fails, and its last error.
        var failure: (since: Duration, reason: String)?
    }

    private let seen = Mutex(Activity())

    var activity: Activity { seen.withLock { $0 } }

    /// The watch began to list.
    func didBeginList() {
        seen.withLock { $0.hasBegun = true }
        set(.listing)
    }

    /// The list is complete and the watch is open, or the watch is open again, from the last resourceVersion that it
    /// received.
    func didOpen(at now: Duration) {
        seen.withLock { $0 = Activity(hasBegun: true, lastReceived: now) }
        set(.synced)
    }

    /// An event or a bookmark arrived.
    func didReceive(at now: Duration) { seen.withLock { $0.lastReceived = now } }

    /// The list or the watch has failed.
    func didFail(_ reason: String, at now: Duration) {
        seen.withLock {
            $0.hasBegun = true
            $0.failure = (since: $0.failure?.since ?? now, reason: reason)
        }
        set(.failed)
    }

    private func set(_ new: State) {
        state.withLock { $0 = new }
        changed.signal()
    }

    /// A term begins: a watch that has failed lists at once, without waiting for its back-off.
    func beginTerm() {
        let hasFailed = state.withLock { state in
            guard state == .failed else { return false }
            state = .listing
            return true
        }
        if hasFailed { relist.signal() }
    }

    /// Returns when the cache is up to date. For one task at a time.
    ///
    /// - Throws: `CancellationError`.
    func waitUntilSynced() async throws {
        while state.withLock({ $0 != .synced }) {
            await changed.wait()
            try Task.checkCancellation()
        }
    }

    /// Runs a watch, and runs it again, from a list, when ``beginTerm()`` requires that.
    ///
    /// - Throws: what `watch` throws, which does not return; `CancellationError` on cancellation.
    func keep(by watch: @escaping @Sendable () async throws -> Void) async throws {
        while true {
            try await withThrowingTaskGroup { group in
                group.addTask { try await watch() }
                group.addTask { await self.relist.wait() }
                try await group.next()
                group.cancelAll()
            }
            try Task.checkCancellation()
        }
    }
}
