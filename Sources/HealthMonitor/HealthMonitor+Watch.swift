// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization
package import VolumeHealth

extension HealthMonitor {
    /// Keeps the caches of PersistentVolumes and PersistentVolumeClaims up to date, through terms and between them.
    func watch(into state: MonitorState) async throws {
        try await runAll([
            { try await state.volumes.keep { try await watchVolumes(into: state) } },
            { try await state.claims.keep { try await watchClaims(into: state) } },
        ])
    }

    /// Keeps the core's volumes as the cluster's are: all of the driver's, or those that our node admits.
    private func watchVolumes(into state: MonitorState) async throws {
        guard let name = configuration.nodeName else { return try await watchVolumes(into: state) { _ in true } }
        let labels = NodeLabels()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await watchLabels(ofNode: name, into: labels) }
            group.addTask {
                while true {
                    let current = await labels.current()
                    try await watchVolumes(ofNode: name, labels: current, into: state, until: labels)
                }
            }
        }
    }

    /// RBAC: `list` and `watch` on `nodes`.
    private func watchLabels(ofNode name: String, into labels: NodeLabels) async throws {
        let selection = Selection(fieldSelector: "metadata.name=\(name)")
        for try await event in Watcher<Node>(client: kubernetes, selection: selection, logger: logger) {
            switch event {
            case .listed(let nodes):
                for node in nodes { labels.set(node.metadata.labels) }
            case .applied(let node): labels.set(node.metadata.labels)
            case .synced:
                if labels.isUnknown { logger.warning("Found no Node of this name", metadata: ["node": "\(name)"]) }
            // A node that is deleted is made anew with its labels, or this process ends with it.
            case .restarted, .deleted: break
            }
        }
    }

    /// Watches the volumes that a node with these labels admits, until they change.
    ///
    /// - Throws: `CancellationError` when this task is cancelled.
    private func watchVolumes(
        ofNode name: String,
        labels: [String: String],
        into state: MonitorState,
        until node: NodeLabels
    ) async throws {
        await withTaskGroup { group in
            group.addTask {
                // Ends on cancellation only.
                try? await watchVolumes(into: state) { volume in
                    guard let selector = volume.nodeSelector else {
                        if node.isFirstWithoutAffinity() {
                            logger.warning(
                                "Skipped PersistentVolumes without nodeAffinity, which belong to no node",
                                metadata: ["PV": "\(volume.name)"]
                            )
                        }
                        return false
                    }
                    return selector.admits(name: name, labels: labels)
                }
            }
            group.addTask { await node.changed.wait() }
            await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Of a volume only what the core needs is kept.
    private func watchVolumes(
        into state: MonitorState,
        where isMonitored: @escaping @Sendable (WatchedVolume) -> Bool
    ) async throws {
        let watcher = Watcher<WatchedVolume>(
            client: kubernetes,
            logger: logger,
            keeping: state.volumes,
            now: { now },
            failed: { state.watchFailed(.volumes, $0, at: now) },
            opened: { state.succeeded(.volumes) }
        )
        for try await event in watcher {
            let received = now
            if case .restarted = event { state.volumes.didBeginList() }
            state.update { healthState in
                switch event {
                case .restarted: healthState.beginVolumeRelist()
                case .listed(let volumes):
                    for volume in volumes { apply(volume, to: &healthState, where: isMonitored, at: received) }
                case .applied(let volume): apply(volume, to: &healthState, where: isMonitored, at: received)
                case .synced: healthState.endVolumeRelist(at: received)
                case .deleted(let volume): healthState.removeVolume(named: volume.name, at: received)
                }
            }
            if case .synced = event {
                state.volumes.didSync(at: now)
                state.succeeded(.volumes)
            }
        }
    }

    /// Keeps the core's claims as the cluster's are.
    private func watchClaims(into state: MonitorState) async throws {
        let watcher = Watcher<WatchedClaim>(
            client: kubernetes,
            logger: logger,
            keeping: state.claims,
            now: { now },
            failed: { state.watchFailed(.claims, $0, at: now) },
            opened: { state.succeeded(.claims) }
        )
        for try await event in watcher {
            let received = now
            if case .restarted = event { state.claims.didBeginList() }
            state.update { healthState in
                switch event {
                case .restarted: healthState.beginClaimRelist()
                case .listed(let claims):
                    for claim in claims { healthState.apply(claim, at: received) }
                case .applied(let claim): healthState.apply(claim, at: received)
                case .synced: healthState.endClaimRelist(at: received)
                case .deleted(let claim): healthState.removeClaim(claim.claim.key, at: received)
                }
            }
            if case .synced = event {
                state.claims.didSync(at: now)
                state.succeeded(.claims)
            }
        }
    }

    private func apply(
        _ volume: WatchedVolume,
        to healthState: inout HealthState,
        where isMonitored: (WatchedVolume) -> Bool,
        at now: Duration
    ) {
        if volume.driver == configuration.driverName, !volume.handle.isEmpty, isMonitored(volume) {
            let node = configuration.nodeName == nil ? configuration.hostNodeName : nil
            healthState.apply(volume.monitored(secrets: configuration.volumeSecrets, onNode: node), at: now)
        } else {
            healthState.removeVolume(named: volume.name, at: now)
        }
    }
}

/// The labels of our node, once they are known.
private final class NodeLabels: Sendable {
    private let labels = Mutex<[String: String]?>(nil)
    private let hasVolumeWithoutAffinity = Atomic(false)
    /// They are known now, or others than before.
    let changed = WakeUp()

    var isUnknown: Bool { labels.withLock { $0 == nil } }

    /// Whether this is called for the first time.
    func isFirstWithoutAffinity() -> Bool {
        !hasVolumeWithoutAffinity.exchange(true, ordering: .relaxed)
    }

    func set(_ new: [String: String]) {
        let isChange = labels.withLock { labels in
            defer { labels = new }
            return labels != new
        }
        if isChange { changed.signal() }
    }

    /// Waits for them; empty on cancellation.
    func current() async -> [String: String] {
        while !Task.isCancelled {
            if let labels = labels.withLock({ $0 }) { return labels }
            await changed.wait()
        }
        return [:]
    }
}

extension HealthState {
    package mutating func apply(_ claim: WatchedClaim, at now: Duration) {
        apply(
            claim.claim,
            volumeName: claim.volumeName,
            healthStatus: claim.healthStatus,
            healthTransition: claim.healthTransition,
            condition: claim.condition,
            at: now
        )
    }
}

extension Claim {
    package init(_ metadata: ObjectMeta) {
        self.init(
            key: ClaimKey(namespace: metadata.namespace, name: metadata.name),
            uid: metadata.uid,
            resourceVersion: metadata.resourceVersion
        )
    }
}
