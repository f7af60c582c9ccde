// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging

/// Builds the events that the monitor records on claims and on its CSIDriver. Records nothing itself.
struct ClaimEvents: Sendable {
    /// `reportingComponent` of every event.
    let component: String
    /// `reportingInstance`
    let instance: String
    let attempts: AttemptIDs

    init(_ configuration: MonitorConfiguration, attempts: AttemptIDs) {
        component = EventVocabulary.controllerComponent(driverName: configuration.driverName)
        instance = configuration.identity
        self.attempts = attempts
    }

    /// The event for a report on a claim. Its name depends only on the claim, the component, the reason and the
    /// reported state, so that a repeated report, even of another process, has the same name.
    func event<Key, State>(
        _ report: PendingReport<Key, State, Claim>,
        type: EventRecord.EventType,
        reason: String,
        message: String
    ) -> EventRecord {
        let claim = report.claim
        let name = EventName.make(
            object: claim.key.name,
            uid: claim.uid,
            component: component,
            reason: reason,
            fingerprint: report.state.fingerprint
        )
        return event(
            name: name,
            on: ObjectReference(claim),
            type: type,
            reason: reason,
            message: message,
            attemptID: attempts.id(of: report)
        )
    }

    /// An event on any object, at the current time of the wall clock.
    ///
    /// - Parameters:
    ///   - name: a name that ``EventName`` made.
    ///   - attemptID: from ``attempts``.
    func event(
        name: String,
        on object: ObjectReference,
        type: EventRecord.EventType,
        reason: String,
        message: String,
        attemptID: String
    ) -> EventRecord {
        EventRecord(
            name: name,
            involvedObject: object,
            type: type,
            reason: reason,
            message: message,
            component: component,
            instance: instance,
            time: .now(),
            attemptID: attemptID
        )
    }
}

extension ClaimKey {
    /// The value of the key `PVC` in a log line, in the form of klog's KObj.
    var logValue: Logger.Metadata.Value { ["namespace": "\(namespace)", "name": "\(name)"] }
}

extension ObjectReference {
    init(_ claim: Claim) {
        self.init()
        kind = PersistentVolumeClaim.resource.kind
        apiVersion = PersistentVolumeClaim.resource.apiVersion
        namespace = claim.key.namespace
        name = claim.key.name
        uid = claim.uid
        resourceVersion = claim.resourceVersion
    }
}
