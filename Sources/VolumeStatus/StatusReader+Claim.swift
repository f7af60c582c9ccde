// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import KubernetesClient

extension StatusReader {
    /// Reads what ``ClaimStory`` needs of one claim.
    ///
    /// RBAC: as for ``snapshot()``, but the claim and its volume are requested by their names, and `list` on `nodes`
    /// adds facts.
    ///
    /// - Returns: nil if the claim does not exist; `nodes` is nil if they may not be listed.
    /// - Throws: ``KubernetesError``.
    package func snapshot(
        of name: ObjectName
    ) async throws(KubernetesError) -> (snapshot: ClusterSnapshot, nodes: [String: Node]?)? {
        var snapshot = ClusterSnapshot()
        let byName = "metadata.name=\(name.name)"
        guard let claim = try await list(ListedClaim.self, namespace: name.namespace, fields: byName).first else {
            return nil
        }
        snapshot.claims[name] = claim
        snapshot.volumes =
            claim.volumeName.isEmpty
            ? [:]
            : try await optional { () async throws(KubernetesError) in
                let found = try await list(
                    ListedVolume.self,
                    namespace: nil,
                    fields: "metadata.name=\(claim.volumeName)"
                )
                return Dictionary(found.map { ($0.name, $0) }) { _, last in last }
            }
        snapshot.pods = try await optional { () async throws(KubernetesError) in
            let pods = try await list(ListedPod.self, namespace: name.namespace)
            return Dictionary(pods.map { ($0.name, $0) }) { _, last in last }
        }
        snapshot.events = try await optional { () async throws(KubernetesError) in
            var events = try await list(
                ListedEvent.self,
                namespace: name.namespace,
                fields: "involvedObject.kind=PersistentVolumeClaim,involvedObject.name=\(name.name)"
            )
            for reason in HealthEvents.reasons {
                events += try await list(
                    ListedEvent.self,
                    namespace: name.namespace,
                    fields: "involvedObject.kind=Pod,reason=\(reason)"
                )
            }
            return Dictionary(events.map { ($0.name, $0) }) { _, last in last }
        }
        snapshot.leases = try await optional { () async throws(KubernetesError) in try await controllerLeases() }
        let names = Set(
            (snapshot.pods ?? [:]).values.filter { $0.claims.values.contains(name.name) }.map(\.nodeName)
        ).subtracting([""])
        let nodes = try await optional { () async throws(KubernetesError) in
            var nodes: [String: Node] = [:]
            for node in names.sorted() {
                nodes[node] = try await list(Node.self, namespace: nil, fields: "metadata.name=\(node)").first
            }
            return nodes
        }
        return (snapshot, nodes)
    }
}
