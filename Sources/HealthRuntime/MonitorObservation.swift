// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Something that metrics count.
package enum MonitorObservation: Sendable, Hashable {
    /// All volumes were probed: by a complete list, or one by one in an interval.
    case sweepCompleted(duration: Duration)
    /// The driver reported a condition of an unknown type; observed each time.
    case unknownCondition(type: Int)
    /// The driver reported a condition without a reason; observed each time.
    case unspecifiedReason
    /// The API server dropped `status.healthStatus` from a write.
    case statusWriteDropped
    /// An attempt to report something has ended.
    case reported(ReportObservation)
}

/// The end of an attempt to report something to the API server.
package struct ReportObservation: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        /// An event on a change of a volume's conditions, or its refresh.
        case event
        /// An event on a condition of an unknown type.
        case unknownCondition = "unknown_condition"
        /// An event on a volume for which the driver does not respond, or responds again.
        case unresponsive = "unanswered"
        /// An event on a volume whose health changes too often.
        case flapping
        /// An event on a node's failure or recovery.
        case nodeFailure = "node_failure"
        /// An event on an outage of the driver, or its end.
        case outage
        /// The status of a claim, or a condition of a pod.
        case status
    }

    package enum Result: String, Sendable, CaseIterable {
        /// The API server has applied it.
        case recorded
        /// The request failed and is queued again: there was no response, or its error is not about this object.
        case retried
        /// The API server refused the request: the object is invalid, or RBAC forbids it. It is queued again, with a
        /// back-off.
        case refused
        /// The object or its namespace is gone, and the report is dropped.
        case gone

        package init(_ outcome: ReportOutcome) {
            switch outcome {
            case .reported: self = .recorded
            case .refused: self = .refused
            case .failed(let failure): self = failure.isForbidden ? .refused : .retried
            case .unreachable: self = .retried
            case .gone: self = .gone
            }
        }
    }

    package var kind: Kind
    package var result: Result
    /// The duration of all requests of the attempt, including the wait for the client's rate limit.
    package var duration: Duration
    /// From becoming due to being handed out.
    package var queued: Duration

    package init(kind: Kind, result: Result, duration: Duration, queued: Duration = .zero) {
        self.kind = kind
        self.result = result
        self.duration = duration
        self.queued = queued
    }
}
