// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Diagnostics
import HealthMonitor
import KubernetesClient
import Synchronization

/// The driver and the monitor, once they are there, for those who look in from outside: metrics and health pages.
final class RunningMonitor: Sendable {
    private struct State {
        var driver: CSIClient?
        var monitor: HealthMonitor<ContinuousClock>?
    }

    private let state = Mutex(State())

    func set(_ driver: CSIClient) { state.withLock { $0.driver = driver } }

    func set(_ monitor: HealthMonitor<ContinuousClock>) { state.withLock { $0.monitor = monitor } }

    /// What metrics show.
    func snapshot() -> SidecarSnapshot {
        let (driver, monitor) = state.withLock { ($0.driver, $0.monitor) }
        return SidecarSnapshot(
            isDriverConnected: driver?.isConnected ?? false,
            volumes: (monitor?.snapshot()).map(SidecarSnapshot.Volumes.init)
        )
    }

    /// What is wrong with the driver; nil when nothing is known to be.
    func driverProblem() -> String? {
        state.withLock { $0.monitor }?.driverProblem()
    }
}

extension SidecarSnapshot.Volumes {
    init(_ snapshot: HealthSnapshot) {
        self.init(
            adverseClaims: snapshot.adverseClaims.map {
                AdverseClaim(namespace: $0.namespace, name: $0.name, statuses: $0.statuses)
            },
            healthy: snapshot.healthyVolumes,
            adverse: snapshot.adverseVolumes,
            unknown: snapshot.unknownVolumes,
            events: .init(depth: snapshot.events.depth, oldest: snapshot.events.oldest),
            statuses: .init(depth: snapshot.statuses.depth, oldest: snapshot.statuses.oldest),
            isDriverSupported: snapshot.missingCapabilities == nil,
            isStatusSupported: snapshot.isStatusSupported,
            isAbsenceSuspected: snapshot.isAbsenceSuspected,
            listProblem: snapshot.listProblem,
            probeInterval: snapshot.probeInterval
        )
    }
}

extension SidecarMetrics {
    /// The RPCs that tell health.
    private static let probeMethods: Set = [
        "ListVolumes", "ControllerGetVolume", "ControllerListVolumeHealth", "ControllerGetVolumeHealth",
    ]

    func observe(_ call: CSIClient.CallObservation) {
        observeOperation(
            driverName: call.driverName,
            statusCode: call.code,
            method: call.method,
            duration: call.duration
        )
        if let deviation = call.deviation { countDeviation(deviation.kind.rawValue) }
        let method = call.method.split(separator: "/").last.map(String.init) ?? ""
        if Self.probeMethods.contains(method) {
            observeProbe(method: method, succeeded: call.isUsable, duration: call.duration)
        }
    }

    func observe(_ request: KubernetesClient.RequestObservation) {
        countAPIRequest(verb: request.verb, resource: request.resource, code: request.code)
    }

    func observe(_ object: UndecodableObject) {
        countUndecodableObject(resource: object.resource)
    }

    func observe(_ observation: MonitorObservation) {
        switch observation {
        case .sweepCompleted(let duration): sweepCompleted(duration: duration)
        case .unknownCondition(let type): countUnknownCondition(type: type)
        case .unspecifiedReason: countUnspecifiedReason()
        case .statusWriteDropped: countDroppedStatusWrite()
        }
    }
}
