// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
import Synchronization

/// Reports that wait for the API server although they were attempted, for the log.
package struct ReportFailure: Sendable, Hashable {
    /// How many reports have failed and are retried.
    package var failing: Int
    /// How many reports wait in all.
    package var waiting: Int
    /// The time since the first attempt of the oldest failing report failed.
    package var age: Duration
    /// The last error of any report.
    package var error: String?

    package init(failing: Int, waiting: Int, age: Duration, error: String?) {
        (self.failing, self.waiting, self.age, self.error) = (failing, waiting, age, error)
    }

    /// nil without failing reports.
    package init?(_ reports: FailingReports?, waiting: Int, error: String?, at now: Duration) {
        guard let reports else { return nil }
        self.init(failing: reports.count, waiting: max(waiting, reports.count), age: now - reports.since, error: error)
    }
}

/// The error of the last report that failed.
final class LastReportError: Sendable {
    private let text = Mutex<String?>(nil)

    var value: String? { text.withLock { $0 } }

    func set(_ error: String) { text.withLock { $0 = error } }
}
