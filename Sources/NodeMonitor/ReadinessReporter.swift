// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthRuntime
import KubernetesAPI
package import KubernetesClient
import Logging
package import NodeCore

/// Writes the readiness conditions of pods that name them in `spec.readinessGates`.
///
/// A strategic merge patch, which merges conditions by type: a JSON merge patch would replace those of the kubelet.
///
/// RBAC: `patch` on `pods/status`.
struct ReadinessReporter: Sendable {
    private let context: NodeContext
    private let dispatcher: ReportDispatcher

    init(_ context: NodeContext) {
        self.context = context
        dispatcher = ReportDispatcher(context, client: context.kubernetes)
    }

    /// The error of the last condition that could not be written.
    var lastError: String? { dispatcher.lastError }

    /// Writes conditions until cancelled.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        guard context.configuration.writesReadinessCondition else { return try await suspendUntilCancelled() }
        let state = context.state
        try await dispatcher.run(.status, wakeUp: state.readiness) { now in
            state.withLock { $0.nextReadiness(at: now) }
        } complete: { report, outcome, now in
            state.update { $0.complete(readiness: report, outcome, at: now) }
        } send: { report in
            try await write(report)
        }
    }

    private func write(
        _ report: PendingReport<ReadinessKey, ReadinessCondition, NodePodTarget>
    ) async throws -> ReportAttempt {
        let pod = report.target
        var metadata: Logger.Metadata = [
            "pod": ["namespace": "\(pod.namespace)", "name": "\(pod.podName)"], "type": "\(report.key.type)",
            "status": "\(report.state.status?.rawValue ?? "")", "reason": "\(report.state.reason)",
        ]
        do {
            try await context.kubernetes.patch(
                PatchedPod.self,
                name: pod.podName,
                namespace: pod.namespace,
                .readinessCondition(report.state, type: report.key.type, podUID: pod.podUID, at: Time.now().seconds),
                kind: .strategicMerge,
                subresource: "status"
            )
            context.logger.info("Wrote readiness condition", metadata: metadata)
            return ReportAttempt(.reported)
        } catch {
            try Task.checkCancellation()
            metadata["err"] = "\(error)"
            if error.code == .notFound || error.isAboutUID {
                context.logger.debug("Skipped readiness condition, the pod is gone", metadata: metadata)
                return ReportAttempt(.gone)
            }
            return ReportAttempt(ReportOutcome(error), "Failed to write readiness condition, retrying", metadata)
        }
    }
}

extension MergePatch {
    /// A strategic merge patch that sets one condition in the status of the pod with this uid.
    ///
    /// The uid is a precondition: the API server rejects another one as a change of an immutable field (422, observed
    /// on kube-apiserver 1.36).
    ///
    /// - Parameter now: `lastTransitionTime`, in seconds since 1970.
    package static func readinessCondition(
        _ condition: ReadinessCondition,
        type: String,
        podUID: String,
        at now: Int64
    ) -> MergePatch {
        [
            "metadata": ["uid": .string(podUID)],
            "status": [
                "conditions": [
                    [
                        "type": .string(type),
                        "status": .string(condition.status?.rawValue ?? "Unknown"),
                        "reason": .string(condition.reason),
                        "message": .string(condition.message),
                        "lastTransitionTime": .string(EventRecord.timestamp(now)),
                    ]
                ]
            ],
        ]
    }
}

/// The response to a patch, of which nothing is needed: the watch shows the pod.
private struct PatchedPod: ListedObject {
    static let resource = Pod.resource
    let resourceVersion = ""

    init(reading bytes: Span<UInt8>) {}
}

extension KubernetesError {
    /// Whether the object of this name is another one: its uid is not that of the request.
    fileprivate var isAboutUID: Bool {
        code == .invalid && status?.details.causes.contains { $0.field == "metadata.uid" } ?? false
    }
}
