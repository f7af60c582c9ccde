// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// Watches PersistentVolumes and PersistentVolumeClaims, and applies them to the ``ControllerCore/HealthState``, in
/// terms and between them.
///
/// RBAC: `list` and `watch` on `persistentvolumes` and `persistentvolumeclaims`; with
/// ``MonitorConfiguration/nodeName``, also on `nodes`.
struct ClusterWatcher: Sendable {
    let context: MonitorContext
    /// The cache of PersistentVolumes.
    let volumes = CacheState()
    /// The cache of PersistentVolumeClaims.
    let claims = CacheState()

    init(_ context: MonitorContext) {
        self.context = context
    }

    private var configuration: MonitorConfiguration { context.configuration }
    private var logger: Logger { context.logger }
    private var now: Duration { context.now }

    /// Watches until cancelled.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        try await runAll([
            { try await volumes.keep { try await watchVolumes() } },
            { try await claims.keep { try await watchClaims() } },
        ])
    }

    /// A watch that has failed lists at once.
    func beginTerm() {
        volumes.beginTerm()
        claims.beginTerm()
    }

    /// Returns when both caches are up to date. For one task at a time.
    ///
    /// - Throws: `CancellationError`.
    func waitUntilSynced() async throws {
        try await volumes.waitUntilSynced()
        try await claims.waitUntilSynced()
    }

    /// Watches the driver's volumes: all of them or, with ``MonitorConfiguration/nodeName``, those that the node may
    /// use.
    private func watchVolumes() async throws {
        guard let name = configuration.nodeName else { return try await watchVolumes { _ in true } }
        let labels = NodeLabels()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await watchLabels(ofNode: name, into: labels) }
            group.addTask {
                while true {
                    let current = await labels.current()
                    try await watchVolumes(ofNode: name, labels: current, until: labels)
                }
            }
        }
    }

    /// RBAC: `list` and `watch` on `nodes`.
    private func watchLabels(ofNode name: String, into labels: NodeLabels) async throws {
        let selection = Selection(fieldSelector: "metadata.name=\(name)")
        for try await event in Watcher<Node>(client: context.kubernetes, selection: selection, logger: logger) {
            switch event {
            case .listed(let nodes):
                for node in nodes { labels.set(node.metadata.labels) }
            case .applied(let node): labels.set(node.metadata.labels)
            case .synced:
                if labels.isUnknown { logger.warning("Found no Node of this name", metadata: ["node": "\(name)"]) }
            // A deleted node either is created again with its labels, or this process ends with it.
            case .restarted, .deleted: break
            }
        }
    }

    /// Watches the volumes that a node with these labels may use, until the labels change.
    ///
    /// - Throws: `CancellationError` when this task is cancelled.
    private func watchVolumes(
        ofNode name: String,
        labels: [String: String],
        until node: NodeLabels
    ) async throws {
        await withTaskGroup { group in
            group.addTask {
                // Ends only on cancellation.
                try? await watchVolumes { volume in
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

    private func watchVolumes(where isMonitored: @escaping @Sendable (WatchedVolume) -> Bool) async throws {
        try await watch(WatchedVolume.self, filling: volumes, dependency: .volumes) { event, state, received in
            switch event {
            case .restarted: state.beginVolumeRelist()
            case .listed(let listed):
                for volume in listed { apply(volume, to: &state, where: isMonitored, at: received) }
            case .applied(let volume): apply(volume, to: &state, where: isMonitored, at: received)
            case .synced: state.endVolumeRelist(at: received)
            case .deleted(let volume): state.removeVolume(named: volume.name, at: received)
            }
        }
    }

    private func watchClaims() async throws {
        try await watch(WatchedClaim.self, filling: claims, dependency: .claims) { event, state, received in
            switch event {
            case .restarted: state.beginClaimRelist()
            case .listed(let listed):
                for claim in listed { state.apply(claim, at: received) }
            case .applied(let claim): state.apply(claim, at: received)
            case .synced: state.endClaimRelist(at: received)
            case .deleted(let claim): state.removeClaim(claim.claim.key, at: received)
            }
        }
    }

    /// Watches all objects of a type. Keeps the state of their cache and of the dependency up to date.
    ///
    /// - Parameter apply: applies an event that was received at this moment.
    private func watch<Object: ListedObject>(
        _: Object.Type,
        filling cache: CacheState,
        dependency: Dependency,
        apply: (WatcherEvent<Object>, inout HealthState, Duration) -> Void
    ) async throws {
        let didOpen: @Sendable () -> Void = {
            cache.didOpen(at: now)
            context.dependencies.succeeded(dependency)
        }
        let watcher = Watcher<Object>(
            client: context.kubernetes,
            lifetime: configuration.watchLifetime,
            logger: logger,
            observer: {
                cache.didFail("\($0)", at: now)
                context.dependencies.watchFailed(dependency, $0, at: now)
            },
            opened: didOpen,
            received: { cache.didReceive(at: now) }
        )
        for try await event in watcher {
            let received = now
            if case .restarted = event { cache.didBeginList() }
            context.state.update { apply(event, &$0, received) }
            if case .synced = event { didOpen() }
        }
    }

    private func apply(
        _ volume: WatchedVolume,
        to state: inout HealthState,
        where isMonitored: (WatchedVolume) -> Bool,
        at now: Duration
    ) {
        if volume.driver == configuration.driverName, !volume.handle.isEmpty, isMonitored(volume) {
            let node = configuration.nodeName == nil ? configuration.hostNodeName : nil
            state.apply(volume.monitored(secrets: configuration.volumeSecrets, onNode: node), at: now)
        } else {
            state.removeVolume(named: volume.name, at: now)
        }
    }
}

/// The labels of the node ``MonitorConfiguration/nodeName``; unknown until its first event.
private final class NodeLabels: Sendable {
    private let labels = Mutex<[String: String]?>(nil)
    private let hasVolumeWithoutAffinity = Atomic(false)
    /// The labels became known, or changed.
    let changed = WakeUp()

    var isUnknown: Bool { labels.withLock { $0 == nil } }

    /// Returns true on the first call.
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

    /// Waits until the labels are known; empty on cancellation.
    func current() async -> [String: String] {
        while !Task.isCancelled {
            if let labels = labels.withLock({ $0 }) { return labels }
            await changed.wait()
        }
        return [:]
    }
}
