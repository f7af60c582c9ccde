// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
package import KubernetesClient

/// Reads a ``ClusterSnapshot`` from an API server: lists in pages, all at the same time. Changes nothing.
///
/// RBAC: `list` on `persistentvolumeclaims` is required, in the namespace or in the cluster. `list` on `events`,
/// `persistentvolumes`, `pods` and `leases` (of all namespaces) adds facts; what is forbidden is nil in the snapshot.
package struct StatusReader: Sendable {
    private let client: KubernetesClient
    /// nil for all namespaces.
    let namespace: String?
    /// The label selector of the claims; nil for all.
    let selector: String?

    package init(client: KubernetesClient, namespace: String?, selector: String?) {
        self.client = client
        self.namespace = namespace
        self.selector = selector
    }

    /// Lists everything.
    ///
    /// - Throws: ``KubernetesError``; `forbidden` only for `persistentvolumeclaims`.
    package func snapshot() async throws(KubernetesError) -> ClusterSnapshot {
        do {
            async let claims = list(ListedClaim.self, namespace: namespace, labels: selector)
            async let volumes = optional { () async throws(KubernetesError) in
                try await list(ListedVolume.self, namespace: nil)
            }
            async let pods = optional { () async throws(KubernetesError) in try await list(ListedPod.self) }
            async let events = optional { () async throws(KubernetesError) in
                try await list(reasons: HealthEvents.reasons, namespace: namespace)
            }
            async let driverEvents = optional { () async throws(KubernetesError) in
                try await list(reasons: HealthEvents.driverReasons, namespace: "default")
            }
            async let leases = optional { () async throws(KubernetesError) in try await controllerLeases() }
            var snapshot = ClusterSnapshot()
            for claim in try await claims { snapshot.claims[claim.name] = claim }
            snapshot.volumes = try await volumes.map { volumes in
                Dictionary(volumes.map { ($0.name, $0) }) { _, last in last }
            }
            snapshot.pods = try await pods.map { Dictionary($0.map { ($0.name, $0) }) { _, last in last } }
            snapshot.events = try await events.map { Dictionary($0.map { ($0.name, $0) }) { _, last in last } }
            snapshot.driverEvents = try await driverEvents
            snapshot.leases = try await leases
            return snapshot
        } catch let error as KubernetesError {
            throw error
        } catch {
            throw KubernetesError(code: .cancelled, message: "list claims: \(error)")
        }
    }

    /// The events of each reason, listed at the same time.
    private func list(reasons: [String], namespace: String?) async throws(KubernetesError) -> [ListedEvent] {
        do {
            return try await withThrowingTaskGroup(of: [ListedEvent].self) { group in
                for reason in reasons {
                    group.addTask {
                        try await list(ListedEvent.self, namespace: namespace, fields: "reason=\(reason)")
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
        } catch let error as KubernetesError {
            throw error
        } catch {
            throw KubernetesError(code: .cancelled, message: "list events: \(error)")
        }
    }

    /// The Leases of controllers. The Leases of kubelets, one for each node, are left out by the server.
    func controllerLeases() async throws(KubernetesError) -> [Lease] {
        try await list(Lease.self, namespace: nil, fields: "metadata.namespace!=kube-node-lease")
            .filter { $0.metadata.name.hasPrefix(ControllerLease.namePrefix) }
    }

    private func list<O: ListedObject>(_: O.Type) async throws(KubernetesError) -> [O] {
        try await list(O.self, namespace: namespace)
    }

    /// The list begins anew once if the server forgets its version between two pages.
    func list<O: ListedObject>(
        _: O.Type,
        namespace: String?,
        fields: String? = nil,
        labels: String? = nil
    ) async throws(KubernetesError) -> [O] {
        let selection = Selection(namespace: namespace, fieldSelector: fields, labelSelector: labels)
        do {
            return try await pages(O.self, selection)
        } catch  where error.code == .expired {
            return try await pages(O.self, selection)
        }
    }

    private func pages<O: ListedObject>(_: O.Type, _ selection: Selection) async throws(KubernetesError) -> [O] {
        var objects: [O] = []
        var pages = client.list(O.self, selection, limit: Self.pageLimit).makeAsyncIterator()
        while var page = try await pages.next() {
            while let object = try page.next() { objects.append(object) }
        }
        return objects
    }

    /// kubectl's default is 500. A page of claims or volumes has a megabyte or two.
    private static let pageLimit = 1000
}

/// nil if the request is forbidden.
func optional<Value>(
    _ body: () async throws(KubernetesError) -> Value
) async throws(KubernetesError) -> Value? {
    do {
        return try await body()
    } catch  where error.code == .forbidden {
        return nil
    }
}
