// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubernetesClient
import Logging
import Synchronization

/// Whether the cache that a watch keeps is up to date, for the beginning of a term.
///
/// Within a term a watch that fails retries with its own back-off, and the monitor goes on with what it knows. A term must
/// not begin so: the last leader may have recorded events on claims that the cache does not have, which would then be
/// recorded again (rule 9).
final class CacheState: Sendable {
    private enum State {
        /// The list is not complete.
        case listing
        /// The list is complete and its watch open.
        case synced
        /// The list or the watch has failed, and no other is open.
        case failed
    }

    private let state = Mutex(State.listing)
    private let changed = WakeUp()
    /// The watch is to begin anew, with a list.
    private let relist = WakeUp()

    /// What was seen of the watch.
    struct Activity: Sendable {
        /// Whether it was begun: not on a standby that keeps no cache.
        var hasBegun = false
        /// When the last event or bookmark came.
        var lastReceived: Duration?
        /// Since when it fails, and its last error.
        var failure: (since: Duration, reason: String)?
    }

    private let seen = Mutex(Activity())

    var activity: Activity { seen.withLock { $0 } }

    /// The watch began to list.
    func didBeginList() {
        seen.withLock { $0.hasBegun = true }
        set(.listing)
    }

    /// The list is complete.
    func didSync(at now: Duration) { didOpen(at: now) }

    /// The watch is open again, from the last version that it has seen.
    func didOpen(at now: Duration) {
        seen.withLock { $0 = Activity(hasBegun: true, lastReceived: now) }
        set(.synced)
    }

    /// An event or a bookmark came.
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

    /// A term begins: a watch that has failed lists at once, without waiting for the end of its back-off.
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

    /// Runs a watch, and begins it anew when ``beginTerm()`` asks for that.
    ///
    /// - Throws: what `watch` throws, which does not return otherwise; `CancellationError` on cancellation.
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

extension Watcher {
    /// A watcher of all objects that says how far it is.
    ///
    /// - Parameters:
    ///   - failed: called for every failure.
    ///   - opened: called when the watch is open again.
    init(
        client: KubernetesClient,
        logger: Logger,
        keeping cache: CacheState,
        now: @escaping @Sendable () -> Duration,
        failed: @escaping @Sendable (KubernetesError) -> Void,
        opened: @escaping @Sendable () -> Void
    ) {
        self.init(
            client: client,
            logger: logger,
            observer: {
                cache.didFail("\($0)", at: now())
                failed($0)
            },
            opened: {
                cache.didOpen(at: now())
                opened()
            },
            received: { cache.didReceive(at: now()) }
        )
    }
}
