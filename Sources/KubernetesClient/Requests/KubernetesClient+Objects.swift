// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

extension KubernetesClient {
    /// Reads one object, its unknown fields included, so that it can be written back whole.
    ///
    /// RBAC: `get` on the resource.
    ///
    /// - Parameter namespace: nil for resources of the cluster.
    /// - Throws: ``KubernetesError``; `notFound` where there is none.
    package func get<O: KubernetesObject>(
        _: O.Type = O.self,
        name: String,
        namespace: String? = nil
    ) async throws(KubernetesError) -> O {
        let info = RequestInfo(verb: .get, resource: O.resource, namespace: namespace, name: name)
        return try wholeObject(await unary(info), info)
    }

    /// Reads what is wanted of one object.
    ///
    /// RBAC: `get` on the resource.
    ///
    /// - Parameter namespace: nil for resources of the cluster.
    /// - Throws: ``KubernetesError``; `notFound` where there is none.
    package func get<O: ListedObject>(
        _: O.Type = O.self,
        name: String,
        namespace: String? = nil
    ) async throws(KubernetesError) -> O {
        let info = RequestInfo(verb: .get, resource: O.resource, namespace: namespace, name: name)
        return try object(await unary(info), info)
    }

    /// Makes an object in the namespace that its metadata names.
    ///
    /// RBAC: `create` on the resource.
    ///
    /// - Returns: the object as the server has stored it.
    /// - Throws: ``KubernetesError``; `alreadyExists` where the name is taken, `invalid` where a field is refused.
    @discardableResult
    package func create<O: KubernetesObject>(_ object: O) async throws(KubernetesError) -> O {
        let info = RequestInfo(verb: .create, resource: O.resource, namespace: Self.namespace(of: object))
        return try wholeObject(await send(object, info, method: "POST"), info)
    }

    /// Makes an object in the namespace that its metadata names, of whose answer little is wanted.
    ///
    /// RBAC: `create` on the resource.
    ///
    /// - Parameter reading: what is wanted of it.
    /// - Returns: what is read of the object as the server has stored it.
    /// - Throws: ``KubernetesError``; `alreadyExists` where the name is taken, `invalid` where a field is refused.
    package func create<O: KubernetesObject, Stored: ListedObject>(
        _ object: O,
        reading _: Stored.Type
    ) async throws(KubernetesError) -> Stored {
        let info = RequestInfo(verb: .create, resource: O.resource, namespace: Self.namespace(of: object))
        return try self.object(await send(object, info, method: "POST"), info)
    }

    /// Replaces an object. Unless `object` came from ``get(_:name:namespace:)`` or another call here, and not from a
    /// list or a watch, fields that this program does not know are lost.
    ///
    /// RBAC: `update` on the resource.
    ///
    /// - Returns: the object as the server has stored it.
    /// - Throws: ``KubernetesError``; `conflict` where `metadata.resourceVersion` is set and no longer the latest.
    @discardableResult
    package func update<O: KubernetesObject>(_ object: O) async throws(KubernetesError) -> O {
        let info = RequestInfo(
            verb: .update,
            resource: O.resource,
            namespace: Self.namespace(of: object),
            name: object.metadata.name
        )
        return try wholeObject(await send(object, info, method: "PUT"), info)
    }

    /// Changes some fields of an object.
    ///
    /// RBAC: `patch` on the resource, or on `resource/subresource`.
    ///
    /// - Parameters:
    ///   - namespace: nil for resources of the cluster.
    ///   - patch: may hold `metadata.resourceVersion` and `metadata.uid` as preconditions.
    ///   - kind: how lists are patched.
    ///   - subresource: `status`; nil for the object itself.
    ///   - dryRun: the server does all but store it. `badRequest` where an admission webhook has side effects.
    /// - Returns: what is read of the object as the server has stored it, without its unknown fields: not to be written
    ///   back.
    /// - Throws: ``KubernetesError``; `notFound`, `conflict` where a precondition fails, `invalid` where a field is
    ///   refused.
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

    private static func namespace<O: KubernetesObject>(of object: O) -> String? {
        O.resource.scope == .namespaced ? object.metadata.namespace : nil
    }

    private func send<O: KubernetesObject>(
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

    private func wholeObject<O: KubernetesObject>(_ body: [UInt8], _ info: RequestInfo) throws(KubernetesError) -> O {
        do {
            return try Envelope(body.span).wholeObject(O.self, in: body.span)
        } catch {
            throw KubernetesError(error, request: info)
        }
    }
}

/// How a patch is applied: its media type.
///
/// Source: k8s.io/apimachinery, pkg/types/patch.go.
package enum PatchKind: String, Sendable, Hashable {
    /// RFC 7396: a list is replaced.
    case merge = "application/merge-patch+json"
    /// A list whose elements have a key is merged element by element; `$patch: delete` in an element removes it.
    case strategicMerge = "application/strategic-merge-patch+json"
}
