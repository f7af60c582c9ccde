// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// The verbs of a resource.

extension RequestHandler {
    func list(
        _ type: ResourceType,
        _ request: APIRequest,
        _ representation: Representation
    ) throws(StatusError) -> TestHTTPResponse {
        let selector = try request.selector(type)
        let namespace = request.namespace.isEmpty ? nil : request.namespace
        let limit = request.query["limit"].flatMap { Int($0) } ?? 0
        let page = try cluster.access { registry, _ throws(StatusError) in
            if let token = request.query["continue"], !token.isEmpty {
                return try registry.nextPage(token: token, limit: limit)
            }
            return registry.firstPage(type, namespace: namespace, selector: selector, limit: limit)
        }
        return try .encoded(representation) { () throws(SchemaError) in
            try representation.list(type, page, now: cluster.now())
        }
    }

    func watch(
        _ type: ResourceType,
        _ request: APIRequest,
        _ representation: Representation
    ) throws(StatusError) -> TestHTTPResponse {
        let sendsInitialEvents = try request.sendsInitialEvents(featureGates: cluster.featureGates)
        let version = request.query["resourceVersion"] ?? ""
        guard version.isEmpty || Int64(version) != nil else {
            throw .badRequest("invalid resource version \"\(version)\"")
        }
        let namespace = request.namespace.isEmpty ? nil : request.namespace
        let selector = try request.selector(type)
        let stream = WatchStream(
            type: type,
            namespace: namespace,
            selector: selector,
            representation: representation,
            allowsBookmarks: ["1", "true"].contains(request.query["allowWatchBookmarks"] ?? ""),
            timeout: request.query["timeoutSeconds"].flatMap { Int64($0) }.map { .seconds($0) },
            cluster: cluster,
            bookmarkInterval: bookmarkInterval,
            clock: clock
        )
        // Without a version, or from 0, a watch begins with the present objects unless the request says otherwise.
        let (objects, revision) = try cluster.access { registry, _ throws(StatusError) in
            let revision = Int64(version) ?? 0
            guard sendsInitialEvents ?? (revision == 0) else {
                return ([StoredObject](), revision == 0 ? registry.store.revision : revision)
            }
            return (registry.list(type, namespace: namespace, selector: selector), registry.store.revision)
        }
        let handle = WatchHandle(request: request)
        let opening = Opening(of: handle, in: cluster)
        return TestHTTPResponse(
            status: 200,
            headers: ["Content-Type": representation.streamContentType],
            body: .stream { writer in
                defer { opening.close() }
                try await stream.run(
                    objects,
                    isList: sendsInitialEvents == true,
                    after: revision,
                    handle: handle
                ) { try await writer.write($0) }
            }
        )
    }

    /// The verbs for one object.
    func serve(
        _ type: ResourceType,
        _ request: APIRequest,
        _ body: RequestBody,
        _ representation: Representation
    ) throws(StatusError) -> TestHTTPResponse {
        let (namespace, name) = (request.namespace, request.name)
        let subresource = request.subresource.isEmpty ? nil : request.subresource
        guard type.isNamespaced == !namespace.isEmpty, request.verb == .create ? name.isEmpty : !name.isEmpty else {
            throw .methodNotAllowed
        }
        let object: JSONValue
        var status = 200
        let isDryRun = request.query["dryRun"] != nil
        switch request.verb {
        case .create:
            let body = try body.required()
            object = try change(isDryRun: isDryRun) { registry, now throws(StatusError) in
                try registry.create(type, body, namespace: namespace, as: .client, now: now)
            }
            status = 201
        case .update:
            let body = try body.required()
            object = try change(isDryRun: isDryRun) { registry, now throws(StatusError) in
                try registry.update(
                    type,
                    body,
                    namespace: namespace,
                    name: name,
                    subresource: subresource,
                    as: .client,
                    now: now
                )
            }
        case .patch:
            let body = try body.required()
            object = try change(isDryRun: isDryRun) { registry, now throws(StatusError) in
                try registry.patch(
                    type,
                    body,
                    mergingLists: request.contentType.hasPrefix(RequestBody.strategicMergePatch),
                    namespace: namespace,
                    name: name,
                    subresource: subresource,
                    as: .client,
                    now: now
                )
            }
        case .delete:
            return try delete(type, request, body, representation)
        default:
            object = try cluster.access { registry, _ throws(StatusError) in
                try registry.get(type, namespace: namespace, name: name)
            }
        }
        return try .encoded(representation, status: status) { () throws(SchemaError) in
            try representation.object(type, object, now: cluster.now())
        }
    }

    private func change<Result: Sendable>(
        isDryRun: Bool,
        _ body: (inout Registry, Timestamp) throws(StatusError) -> Result
    ) throws(StatusError) -> Result {
        try cluster.access { registry, now throws(StatusError) in
            // Only for a dry run: a second reference makes the change copy the registry.
            let stored = isDryRun ? registry : nil
            defer { if let stored { registry = stored } }
            return try body(&registry, now)
        }
    }

    private func delete(
        _ type: ResourceType,
        _ request: APIRequest,
        _ body: RequestBody,
        _ representation: Representation
    ) throws(StatusError) -> TestHTTPResponse {
        guard request.subresource.isEmpty else { throw .methodNotAllowed }
        if let error = body.error { throw error }
        // kubectl sends it in the body: metav1.DeleteOptions.
        let isDryRun = request.query["dryRun"] != nil || body.value?["dryRun"]?.array?.isEmpty == false
        let (object, isGone) = try change(isDryRun: isDryRun) { registry, now throws(StatusError) in
            try registry.delete(
                type,
                namespace: request.namespace,
                name: request.name,
                preconditions: body.value?["preconditions"],
                gracePeriod: body.value?["gracePeriodSeconds"]?.integer,
                now: now
            )
        }
        return try .encoded(representation) { () throws(SchemaError) in
            guard isGone else { return try representation.object(type, object, now: cluster.now()) }
            var details = StatusError.details(type, request.name)
            details["uid"] = object["metadata", "uid"]
            return try representation.status(["metadata": [:], "status": "Success", "details": details])
        }
    }
}

extension APIRequest {
    fileprivate func selector(_ type: ResourceType) throws(StatusError) -> Selector {
        try Selector(type, fields: query["fieldSelector"], labels: query["labelSelector"])
    }

    /// Whether a watch begins with the present objects; nil when the request leaves it open.
    ///
    /// Source: k8s.io/apimachinery, pkg/apis/meta/internalversion/validation.
    fileprivate func sendsInitialEvents(featureGates: Set<FeatureGate>) throws(StatusError) -> Bool? {
        guard let value = query["sendInitialEvents"] else { return nil }
        var problems: [FieldError] = []
        if query["resourceVersionMatch"] != "NotOlderThan" {
            let problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            problems.append(.forbidden("resourceVersionMatch", problem))
        }
        if !featureGates.contains(.watchList) {
            let problem = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            problems.append(.forbidden("sendInitialEvents", problem))
        }
        guard problems.isEmpty else {
            throw .invalid(kind: "ListOptions", group: "meta.k8s.io", name: "", problems)
        }
        return ["1", "true"].contains(value)
    }
}

extension TestHTTPResponse {
    /// A response in the client's encoding.
    static func encoded(
        _ representation: Representation,
        status: Int = 200,
        headers: [String: String] = [:],
        _ body: () throws(SchemaError) -> [UInt8]
    ) throws(StatusError) -> TestHTTPResponse {
        do {
            let type = ["Content-Type": representation.contentType]
            return TestHTTPResponse(
                status: status,
                headers: headers.merging(type) { chosen, _ in chosen },
                bytes: try body()
            )
        } catch {
            throw StatusError(code: 500, reason: "InternalError", message: "Internal error occurred: \(error)")
        }
    }

    /// The response for an error, in the client's encoding or, where the server does not support it, in JSON.
    static func status(
        _ error: StatusError,
        to request: APIRequest,
        headers: [String: String] = [:]
    ) throws(StatusError) -> TestHTTPResponse {
        let representation = Representation(accept: request.accept, includeObject: nil) ?? .json
        return try encoded(representation, status: error.code, headers: headers) { () throws(SchemaError) in
            try representation.status(error.value)
        }
    }
}

/// Keeps a watch among the cluster's open ones until it ends, or until its response is dropped: the client may be gone
/// before the response's head is sent.
private final class Opening: Sendable {
    private let cluster: Cluster
    private let number: Int

    init(of handle: WatchHandle, in cluster: Cluster) {
        self.cluster = cluster
        number = cluster.open(handle)
    }

    deinit { close() }

    /// Idempotent.
    func close() { cluster.close(watch: number) }
}
