// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What to do next: a job that is due, or a wait until one is.
///
/// The method that returns it says what the job is and which method completes it.
package enum NextStep<Job: Sendable>: Sendable {
    /// Do this now.
    case run(Job)
    /// Nothing is due before this moment; nil: before something changes.
    case wait(until: Duration?)

    /// The same, but waits no longer than until this moment; nil: unchanged.
    package func waiting(atMostUntil end: Duration?) -> NextStep {
        guard case .wait(let due) = self, let end else { return self }
        return .wait(until: min(due ?? end, end))
    }
}

extension NextStep: Equatable where Job: Equatable {}
extension NextStep: Hashable where Job: Hashable {}
