// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import VolumeHealth

/// The end of one report to the API server, as metrics count it.
package struct ReportObservation: Sendable, Hashable {
    /// What is reported.
    package enum Kind: String, Sendable, CaseIterable {
        /// An event on a change of a volume's conditions, or its refresh.
        case event
        /// An event on a condition of an unknown type.
        case unknownCondition = "unknown_condition"
        /// An event on a volume for which the driver does not respond, or does again.
        case unanswered
        /// An event on a node's failure or recovery.
        case nodeFailure = "node_failure"
        /// The status of a claim.
        case status
    }

    /// How it went.
    package enum Result: String, Sendable, CaseIterable {
        /// The API server has it.
        case recorded
        /// It failed and is queued again: no response, or one that is not about this object.
        case retried
        /// The API server refused it: the object is invalid, or RBAC forbids it. It is queued again, with a back-off.
        case refused
        /// The claim or its namespace is gone, and the report with it.
        case gone

        package init(_ outcome: ReportOutcome) {
            switch outcome {
            case .reported: self = .recorded
            case .refused: self = .refused
            case .failed(let failure): self = failure.isForbidden ? .refused : .retried
            case .unreachable, .unanswered: self = .retried
            case .gone: self = .gone
            }
        }
    }

    /// What is reported.
    package var kind: Kind
    /// How it went.
    package var result: Result
    /// All requests about it, with the wait for the client's rate limit.
    package var duration: Duration

    /// An end of a report.
    package init(kind: Kind, result: Result, duration: Duration) {
        self.kind = kind
        self.result = result
        self.duration = duration
    }
}
