// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

extension KubernetesClient {
    /// Reads some fields of an object.
    ///
    /// RBAC: `get` on the resource.
    ///
    /// - Parameters:
    ///   - namespace: nil for cluster-scoped resources.
    ///   - fromCache: whether the server may respond from its watch cache (`resourceVersion=0`), which costs no read
    ///     of etcd and may be some seconds old.
    /// - Throws: ``KubernetesError``; `notFound` if it does not exist.
    package func get<O: ListedObject>(
        _: O.Type = O.self,
        name: String,
        namespace: String? = nil,
        fromCache: Bool = false
    ) async throws(KubernetesError) -> O {
        let info = RequestInfo(verb: .get, resource: O.resource, namespace: namespace, name: name)
        let content = Content(query: fromCache ? [("resourceVersion", "0")] : [])
        return try object(await unary(info, content), info)
    }

    /// Creates an object in its `metadata.namespace`.
    ///
    /// RBAC: `create` on the resource.
    ///
    /// - Returns: the stored object.
    /// - Throws: ``KubernetesError``; `alreadyExists` if the name is taken, `invalid` if a field is rejected.
    @discardableResult
    package func create<O: WritableObject>(_ object: O) async throws(KubernetesError) -> O {
        try await create(object, reading: O.self)
    }

    /// Creates an object in its `metadata.namespace`, and reads only some fields of the stored object.
    ///
    /// RBAC: `create` on the resource.
    ///
    /// - Returns: the fields that `Stored` reads.
    /// - Throws: ``KubernetesError``; `alreadyExists` if the name is taken, `invalid` if a field is rejected.
    package func create<O: WritableObject, Stored: ListedObject>(
        _ object: O,
        reading _: Stored.Type
    ) async throws(KubernetesError) -> Stored {
        let info = RequestInfo(verb: .create, resource: O.resource, namespace: Self.namespace(of: object))
        return try self.object(await send(object, info, method: "POST"), info)
    }

    /// Replaces a Lease, with all fields that it was stored with.
    ///
    /// RBAC: `update` on `leases`.
    ///
    /// - Returns: the stored Lease.
    /// - Throws: ``KubernetesError``; `conflict` if `metadata.resourceVersion` is set and is not the latest.
    @discardableResult
    package func update(_ lease: StoredLease) async throws(KubernetesError) -> StoredLease {
        let info = RequestInfo(
            verb: .update,
            resource: StoredLease.resource,
            namespace: lease.metadata.namespace,
            name: lease.metadata.name
        )
        return try object(await send(lease, info, method: "PUT"), info)
    }

    /// Changes some fields of an object.
    ///
    /// RBAC: `patch` on the resource, or on `resource/subresource`.
    ///
    /// - Parameters:
    ///   - namespace: nil for cluster-scoped resources.
    ///   - patch: may contain `metadata.resourceVersion` and `metadata.uid` as preconditions.
    ///   - subresource: such as `status`; nil for the object itself.
    ///   - dryRun: validates the patch without storing it. Throws `badRequest` if an admission webhook has side
    ///     effects.
    /// - Returns: the stored object.
    /// - Throws: ``KubernetesError``; `notFound`, `conflict` if a precondition fails, `invalid` if a field is rejected.
    @discardableResult
    package func patch<O: ListedObject>(
        _: O.Type = O.self,
        name: String,
        namespace: String? = nil,
        _ patch: MergePatch,
        kind: PatchKind = .merge,
        subresource: String? = nil,
        dryRun: Bool = false
    ) async throws(KubernetesError) -> O {
        let info = RequestInfo(
            verb: .patch,
            resource: O.resource,
            namespace: namespace,
            name: name,
            subresource: subresource
        )
        let content = Content(
            method: "PATCH",
            query: dryRun ? [("dryRun", "All")] : [],
            contentType: kind.rawValue,
            body: patch.json
        )
        return try object(await unary(info, content), info)
    }

    private static func namespace<O: WritableObject>(of object: O) -> String? {
        O.resource.scope == .namespaced ? object.metadata.namespace : nil
    }

    private func send<O: WritableObject>(
        _ object: O,
        _ info: RequestInfo,
        method: String
    ) async throws(KubernetesError) -> [UInt8] {
        let body: [UInt8]
        do {
            body = try Envelope.encode(object)
        } catch {
            throw KubernetesError(code: .badRequest, message: "\(info): \(error.message)")
        }
        let content = Content(method: method, contentType: Envelope.mediaType, body: body)
        return try await unary(info, content)
    }

    private func object<O: ListedObject>(_ body: [UInt8], _ info: RequestInfo) throws(KubernetesError) -> O {
        do {
            return try Envelope(body.span).object(O.self, in: body.span)
        } catch {
            throw KubernetesError(error, request: info)
        }
    }
}

/// The media type of a patch.
///
/// Source: k8s.io/apimachinery, pkg/types/patch.go.
package enum PatchKind: String, Sendable, Hashable {
    /// RFC 7396: a list is replaced.
    case merge = "application/merge-patch+json"
    /// A list with a merge key is merged element by element; `$patch: delete` in an element removes it.
    case strategicMerge = "application/strategic-merge-patch+json"
}
