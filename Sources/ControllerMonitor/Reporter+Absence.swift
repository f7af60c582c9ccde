// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging

extension Reporter {
    /// Logs when the suspicion begins and ends that the driver, not its volumes, is at fault because many volumes are
    /// missing, and records an event on the CSIDriver for each, until cancelled.
    ///
    /// RBAC: `get` on `csidrivers` (without it the event has no uid, and `kubectl describe csidriver` does not show
    /// it); on `events` as ``HealthMonitor`` needs them, in the namespace `default`, where events of cluster-scoped
    /// objects are.
    func reportAbsence() async throws {
        var reported: AbsenceSuspicion?
        var isNodeDeploymentAdvised = false
        while true {
            let (suspicion, knowsOnlyItsNode) = context.state.withLock { ($0.absenceSuspicion, $0.knowsOnlyItsNode) }
            if knowsOnlyItsNode, !isNodeDeploymentAdvised {
                isNodeDeploymentAdvised = true
                context.logger.warning(
                    """
                    The driver finds exactly the volumes of its own node, others are not reported missing: run it on each \
                    node with --node-deployment
                    """,
                    metadata: ["node": "\(context.configuration.hostNodeName ?? "")"]
                )
            }
            if let suspicion, reported == nil {
                let (missing, used) = (suspicion.missing.grouped, suspicion.used.grouped)
                let hold = age(context.configuration.missingVolumesHold.components.seconds)
                let message =
                    "The CSI driver does not find \(missing) of \(used) volumes: none of them is reported missing before "
                    + "\(hold) have passed"
                context.logger.warning(
                    "Many volumes are missing at once, suspecting the driver",
                    metadata: [
                        "missing": .stringConvertible(suspicion.missing), "volumes": .stringConvertible(suspicion.used),
                        "hold": .stringConvertible(context.configuration.missingVolumesHold),
                    ]
                )
                reported = suspicion
                try await record(
                    .warning,
                    EventVocabulary.volumesVanishedReason,
                    message,
                    attempt: events.attempts.next()
                )
            } else if suspicion == nil, let earlier = reported {
                let message = "The CSI driver finds its volumes again, or their absence has lasted and is reported"
                context.logger.notice(
                    "The driver finds its volumes again, or their absence is reported",
                    metadata: [
                        "missing": .stringConvertible(earlier.missing), "volumes": .stringConvertible(earlier.used),
                    ]
                )
                reported = nil
                try await record(.normal, EventVocabulary.volumesFoundReason, message, attempt: events.attempts.next())
            } else {
                await context.state.suspicions.wait()
                try Task.checkCancellation()
            }
        }
    }

    /// Records an event on the CSIDriver object. Gives up after three attempts, because the log and the metric show the
    /// suspicion too.
    ///
    /// - Throws: only `CancellationError`.
    private func record(
        _ type: EventRecord.EventType,
        _ reason: String,
        _ message: String,
        attempt: String
    ) async throws {
        for wait in [Duration.seconds(1), .seconds(5), .seconds(30)] {
            try await context.gate.haltUnlessLeading()
            do {
                let recorder = EventRecorder(
                    client: context.kubernetes,
                    attemptAnnotation: AttemptIDs.annotation
                )
                _ = try await recorder.record(try await driverEvent(type, reason, message, attempt: attempt))
                return
            } catch {
                try Task.checkCancellation()
                context.logger.debug(
                    "Failed to record event",
                    metadata: [
                        "CSIDriver": "\(context.configuration.driverName)", "reason": "\(reason)", "err": "\(error)",
                    ]
                )
            }
            try await context.time.sleep(for: wait)
        }
    }

    /// The event on the CSIDriver. Its name depends only on the driver, the component and the reason.
    ///
    /// - Throws: only `CancellationError`.
    func driverEvent(
        _ type: EventRecord.EventType,
        _ reason: String,
        _ message: String,
        attempt: String
    ) async throws -> EventRecord {
        var reference = ObjectReference()
        reference.kind = CSIDriverObject.resource.kind
        reference.apiVersion = CSIDriverObject.resource.apiVersion
        reference.name = context.configuration.driverName
        reference.uid = (try? await context.kubernetes.get(CSIDriverObject.self, name: reference.name))?.uid ?? ""
        try Task.checkCancellation()
        return events.event(
            name: driverEventName(reason),
            on: reference,
            type: type,
            reason: reason,
            message: message,
            attemptID: attempt
        )
    }

    func driverEventName(_ reason: String) -> String {
        EventName.make(onDriver: context.configuration.driverName, component: events.component, reason: reason)
    }
}
