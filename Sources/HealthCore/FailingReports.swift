// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The reports that wait for a retry after a failed attempt; not those that were never attempted.
package struct FailingReports: Sendable, Hashable {
    package var count: Int
    /// When the first attempt of the oldest of them failed.
    package var since: Duration

    package init(count: Int, since: Duration) {
        (self.count, self.since) = (count, since)
    }

    /// The failing reports of several queues; nil when there are none.
    package static func sum(_ parts: [FailingReports?]) -> FailingReports? {
        let parts = parts.compactMap(\.self)
        guard let since = parts.map(\.since).min() else { return nil }
        return FailingReports(count: parts.map(\.count).reduce(0, +), since: since)
    }
}

extension ReportQueue {
    /// nil while no report that waits has failed.
    package var failing: FailingReports? {
        firstFailures.values.lazy.map(\.time).min().map { FailingReports(count: firstFailures.count, since: $0) }
    }
}
