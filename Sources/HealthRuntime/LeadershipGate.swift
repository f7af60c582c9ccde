// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import Logging
import Synchronization

/// Stops calls and writes as soon as the lease has expired, before the term's tasks are cancelled.
package final class LeadershipGate: Sendable {
    private let isHeld: @Sendable () -> Bool
    private let logger: Logger
    private let hasStopped = Atomic(false)

    /// - Parameter isLeading: called before every call to the driver and every write.
    package init(logger: Logger, isLeading: @escaping @Sendable () -> Bool) {
        self.isHeld = isLeading
        self.logger = logger
    }

    package var isLeading: Bool { isHeld() }

    /// A term begins.
    package func beginTerm() { hasStopped.store(false, ordering: .relaxed) }

    /// Returns at once while the lease is held; otherwise waits for the cancellation that follows.
    ///
    /// - Throws: `CancellationError`.
    package func haltUnlessLeading() async throws {
        if isHeld() { return }
        if !hasStopped.exchange(true, ordering: .relaxed) {
            logger.warning("Stopped calls and writes, the lease has expired")
        }
        try await suspendUntilCancelled()
    }
}
