// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import Logging
import ProtobufWire
import VolumeHealth

extension HealthMonitor {
    /// Logs when so many volumes are missing at once that the driver is suspected and not the volumes, and when that has
    /// ended, and records an event on the CSIDriver for each, for ever.
    ///
    /// RBAC: `get` on `csidrivers` (without it the event has no uid, and `kubectl describe csidriver` does not show it); on
    /// `events` as ``HealthMonitor`` has them, in the namespace `default`, where events of cluster-scoped objects are.
    func reportAbsence(from state: MonitorState) async throws {
        var reported: AbsenceSuspicion?
        var isNodeDeploymentAdvised = false
        while true {
            let (suspicion, knowsOnlyItsNode) = state.withHealthState { ($0.absenceSuspicion, $0.knowsOnlyItsNode) }
            if knowsOnlyItsNode, !isNodeDeploymentAdvised {
                isNodeDeploymentAdvised = true
                logger.warning(
                    """
                    The driver finds exactly the volumes of its own node, others are not reported missing: run it on each \
                    node with --node-deployment
                    """,
                    metadata: ["node": "\(configuration.hostNodeName ?? "")"]
                )
            }
            if let suspicion, reported == nil {
                let message =
                    "The CSI driver does not find \(suspicion.missing) of \(suspicion.of) volumes: none of them is reported "
                    + "missing before \(configuration.missingVolumesHold) have passed"
                logger.warning(
                    "Many volumes are missing at once, suspecting the driver",
                    metadata: [
                        "missing": .stringConvertible(suspicion.missing), "volumes": .stringConvertible(suspicion.of),
                        "hold": .stringConvertible(configuration.missingVolumesHold),
                    ]
                )
                reported = suspicion
                try await record(.warning, EventVocabulary.volumesVanishedReason, message, attempt: state.attemptID())
            } else if suspicion == nil, let earlier = reported {
                let message = "The CSI driver finds its volumes again, or their absence has lasted and is reported"
                logger.notice(
                    "The driver finds its volumes again, or their absence is reported",
                    metadata: [
                        "missing": .stringConvertible(earlier.missing), "volumes": .stringConvertible(earlier.of),
                    ]
                )
                reported = nil
                try await record(.normal, EventVocabulary.volumesFoundReason, message, attempt: state.attemptID())
            } else {
                await state.suspicions.wait()
                try Task.checkCancellation()
            }
        }
    }

    /// Records an event on the CSIDriver object, where the API server allows it: a few times, for the log and the metric
    /// have it as well.
    ///
    /// - Throws: only `CancellationError`.
    private func record(
        _ type: EventRecord.EventType,
        _ reason: String,
        _ message: String,
        attempt: String
    ) async throws {
        let component = EventVocabulary.component(driverName: configuration.driverName)
        var reference = ObjectReference()
        reference.kind = CSIDriverObject.resource.kind
        reference.apiVersion = CSIDriverObject.resource.apiVersion
        reference.name = configuration.driverName
        for wait in [Duration.seconds(1), .seconds(5), .seconds(30)] {
            try await haltUnlessLeading()
            do {
                reference.uid = (try? await kubernetes.get(CSIDriverObject.self, name: reference.name))?.uid ?? ""
                let name = EventName.make(onDriver: reference.name, component: component, reason: reason)
                let recorder = EventRecorder(client: kubernetes, attemptAnnotation: EventVocabulary.attemptAnnotation)
                _ = try await recorder.record(
                    EventRecord(
                        name: name,
                        involvedObject: reference,
                        type: type,
                        reason: reason,
                        message: message,
                        component: component,
                        instance: configuration.identity,
                        time: .now(),
                        attemptID: attempt
                    )
                )
                return
            } catch {
                try Task.checkCancellation()
                logger.debug(
                    "Failed to record event",
                    metadata: ["CSIDriver": "\(reference.name)", "reason": "\(reason)", "err": "\(error)"]
                )
            }
            try await clock.sleep(for: wait)
        }
    }
}

/// What is needed of a CSIDriver (storage.k8s.io/v1).
struct CSIDriverObject: WatchedObject, Hashable {
    static let resource = Resource(
        group: "storage.k8s.io",
        version: "v1",
        kind: "CSIDriver",
        plural: "csidrivers",
        scope: .cluster
    )

    private(set) var uid = ""
    private(set) var resourceVersion = ""

    init() {}

    mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 5: try field.read(&uid, in: bytes)
            case 6: try field.read(&resourceVersion, in: bytes)
            default: break
            }
        }
    }

    mutating func read(spec: Span<UInt8>) {}

    mutating func read(status: Span<UInt8>) {}
}
