// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import NodeCore

/// Builds the events that the monitor records on pods and on its Node. Records nothing itself.
///
/// The component, and VolumeConditionAbnormal and VolumeConditionNormal with its text, are those of
/// external-health-monitor's agent. The reasons for flapping volumes, conditions of unknown types and storage are not.
/// The texts begin with the volume, as the kubelet's do.
package struct PodEvents: Sendable {
    /// `source.host` and `reportingInstance`.
    let nodeName: String
    let attempts: AttemptIDs

    /// Warning, on the Node: the storage of a driver is unhealthy.
    package static let storageAbnormalReason = "StorageConditionAbnormal"
    /// Normal, on the Node: the storage of a driver has recovered.
    package static let storageNormalReason = "StorageConditionNormal"

    /// The name of the event with this reason on a volume of a pod: the same in every process, whatever it reports.
    static func name(_ volume: NodeVolume, reason: String) -> String {
        EventName.make(
            pod: volume.podName,
            uid: volume.podUID,
            volume: identity(of: volume),
            component: EventVocabulary.agentComponent(driverName: volume.driver),
            reason: reason
        )
    }

    /// The name of the event on a condition of an unknown type: one name for each type and reason.
    static func name(_ volume: NodeVolume, unknown condition: UnknownCondition) -> String {
        EventName.make(
            pod: volume.podName,
            uid: volume.podUID,
            volume: "\(identity(of: volume))/\(EventName.annotation(condition.fingerprint))",
            component: EventVocabulary.agentComponent(driverName: volume.driver),
            reason: EventVocabulary.unknownReason
        )
    }

    /// Identifies the volume within its pod. No name of a PersistentVolume contains a slash.
    private static func identity(of volume: NodeVolume) -> String {
        volume.key.isInline ? "inline/\(volume.key.volume)" : volume.key.volume
    }

    /// A change of a volume's conditions, or its refresh.
    func event(_ report: PendingReport<NodeVolumeKey, VolumeState, NodeVolume>) -> EventRecord {
        let reason = report.state.isClear ? EventVocabulary.normalReason : EventVocabulary.abnormalReason
        return event(
            report,
            name: Self.name(report.target, reason: reason),
            reason: reason,
            message: report.target.message(for: report.state)
        )
    }

    /// A volume that is flapping.
    ///
    /// - Parameter since: when its first change was, in seconds since 1970.
    func event(
        _ report: PendingReport<NodeVolumeKey, FlappingState, NodeVolume>,
        since: Int64
    ) -> EventRecord {
        event(
            report,
            name: Self.name(report.target, reason: EventVocabulary.flappingReason),
            reason: EventVocabulary.flappingReason,
            message: report.target.message(for: report.state, since: EventRecord.timestamp(since))
        )
    }

    /// A condition of an unknown type.
    func event(_ report: PendingReport<UnknownNodeConditionKey, UnknownCondition, NodeVolume>) -> EventRecord {
        event(
            report,
            name: Self.name(report.target, unknown: report.state),
            reason: EventVocabulary.unknownReason,
            message: report.target.message(for: report.state)
        )
    }

    private func event<Key, State>(
        _ report: PendingReport<Key, State, NodeVolume>,
        name: String,
        reason: String,
        message: String
    ) -> EventRecord {
        let volume = report.target
        var pod = ObjectReference()
        pod.kind = Pod.resource.kind
        pod.apiVersion = Pod.resource.apiVersion
        pod.namespace = volume.namespace
        pod.name = volume.podName
        pod.uid = volume.podUID
        return EventRecord(
            name: name,
            involvedObject: pod,
            type: reason == EventVocabulary.normalReason ? .normal : .warning,
            reason: reason,
            message: message,
            component: EventVocabulary.agentComponent(driverName: volume.driver),
            instance: nodeName,
            host: nodeName,
            time: .now(),
            attemptID: attempts.id(of: report),
            annotations: [EventName.fingerprintAnnotation: EventName.annotation(report.state.fingerprint)]
        )
    }

    /// The health of a driver's storage, on the Node.
    ///
    /// The Node's uid is its name, as in the kubelet's events: k8s.io/kubernetes, `cmd/kubelet/app/server.go`,
    /// `makeEventRecorder` and `pkg/kubelet/kubelet.go`, `nodeRef`. `kubectl describe node` finds both.
    func event<Key>(_ report: PendingReport<Key, StorageHealth, NodeTarget>) -> EventRecord {
        var node = ObjectReference()
        node.kind = Node.resource.kind
        node.apiVersion = Node.resource.apiVersion
        node.name = nodeName
        node.uid = nodeName
        let health = report.state
        let reason = health.isClear ? Self.storageNormalReason : Self.storageAbnormalReason
        let component = EventVocabulary.agentComponent(driverName: report.target.driver)
        return EventRecord(
            name: EventName.make(
                object: nodeName,
                uid: nodeName,
                component: component,
                reason: reason,
                fingerprint: health.fingerprint
            ),
            involvedObject: node,
            type: health.isClear ? .normal : .warning,
            reason: reason,
            message: health.isClear
                ? "The storage of \(report.target.driver) returns to the healthy state"
                : "Storage of \(report.target.driver): \(health.summary)",
            component: component,
            instance: nodeName,
            host: nodeName,
            time: .now(),
            attemptID: attempts.id(of: report)
        )
    }
}
