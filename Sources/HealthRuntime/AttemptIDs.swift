// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
import Synchronization

/// Creates ids of attempts to record events, unique among all processes and terms
/// (``KubernetesClient/EventRecord/attemptID``).
package final class AttemptIDs: Sendable {
    /// The annotation of an Event that holds the id of the last attempt to record it.
    package static let annotation = "csi-health-monitor/attempt-id"

    private let term = Mutex(AttemptIDs.random())
    private let counter = Atomic<UInt64>(0)

    package init() {}

    package func beginTerm() { term.withLock { $0 = Self.random() } }

    /// The id of an attempt to report: the same for all attempts whose responses were lost.
    package func id<Key, State, Target>(of report: PendingReport<Key, State, Target>) -> String {
        "\(term.withLock { $0 })-\(report.attemptID)"
    }

    /// An id for an event that comes from no ``ReportQueue``.
    package func next() -> String {
        "\(term.withLock { $0 })-d\(counter.add(1, ordering: .relaxed).newValue)"
    }

    private static func random() -> String { String(UInt64.random(in: .min ... .max), radix: 36) }
}
