// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient

/// A ``ClusterSnapshot`` that watches keep up to date. Pure.
struct WatchedSnapshot: Sendable {
    /// The event of one watch.
    enum Change: Sendable {
        case claims(WatcherEvent<ListedClaim>)
        case volumes(WatcherEvent<ListedVolume>)
        case pods(WatcherEvent<ListedPod>)
        /// Of the watch of the events with one reason.
        case events(WatcherEvent<ListedEvent>, reason: String)
    }

    private(set) var snapshot: ClusterSnapshot
    private var claims = RelistedNames<ObjectName>()
    private var volumes = RelistedNames<String>()
    private var pods = RelistedNames<ObjectName>()
    private var events: [String: RelistedNames<ObjectName>] = [:]

    init(_ snapshot: ClusterSnapshot) {
        self.snapshot = snapshot
    }

    /// Applies an event.
    ///
    /// - Returns: whether rows may have changed.
    mutating func apply(_ change: Change) -> Bool {
        switch change {
        case .claims(let event):
            return claims.apply(event, to: &snapshot.claims, name: \.name)
        case .volumes(let event):
            return volumes.apply(event, to: &snapshot.volumes[orEmpty: true], name: \.name)
        case .pods(let event):
            return pods.apply(event, to: &snapshot.pods[orEmpty: true], name: \.name)
        case .events(let event, let reason):
            return events[reason, default: RelistedNames()]
                .apply(event, to: &snapshot.events[orEmpty: true], name: \.name, isOwn: { $0.reason == reason })
        }
    }
}

extension Optional where Wrapped: ExpressibleByDictionaryLiteral {
    fileprivate subscript(orEmpty _: Bool) -> Wrapped {
        get { self ?? [:] }
        set { self = newValue }
    }
}

/// The names that a list in progress has had: objects that it lacks no longer exist.
private struct RelistedNames<Name: Hashable & Sendable>: Sendable {
    private var names: Set<Name>?

    /// - Parameter isOwn: which objects of the cache are of this watch.
    /// - Returns: whether the cache may have changed for good: false within a list.
    mutating func apply<O>(
        _ event: WatcherEvent<O>,
        to objects: inout [Name: O],
        name: (O) -> Name,
        isOwn: (O) -> Bool = { _ in true }
    ) -> Bool {
        switch event {
        case .restarted: names = []
        case .listed(let listed):
            for object in listed {
                names?.insert(name(object))
                objects[name(object)] = object
            }
        case .synced:
            if let names { objects = objects.filter { !isOwn($0.value) || names.contains($0.key) } }
            names = nil
            return true
        case .applied(let object):
            names?.insert(name(object))
            objects[name(object)] = object
            return names == nil
        case .deleted(let object):
            names?.remove(name(object))
            objects[name(object)] = nil
            return names == nil
        }
        return false
    }
}
