// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import ProtobufWire

extension KubernetesClient {
    /// Whether this client's user is allowed to make a request: a SelfSubjectAccessReview.
    ///
    /// RBAC: authenticated users have the rule by default (ClusterRole `system:basic-user`).
    ///
    /// - Throws: ``KubernetesError``.
    package func isAllowed(_ request: RequestInfo) async throws(KubernetesError) -> Bool {
        let info = RequestInfo(verb: .create, resource: SelfSubjectAccessReview.resource)
        let content = Content(
            method: "POST",
            contentType: Envelope.mediaType,
            body: SelfSubjectAccessReview.encoded(for: request)
        )
        let body = try await unary(info, content)
        do {
            return try Envelope(body.span).object(SelfSubjectAccessReview.self, in: body.span).isAllowed
        } catch {
            throw KubernetesError(error, request: info)
        }
    }
}

/// The fields of a SelfSubjectAccessReview that are used.
///
/// Source: k8s.io/api/authorization/v1/generated.proto.
struct SelfSubjectAccessReview: ListedObject {
    static let resource = Resource(
        group: "authorization.k8s.io",
        version: "v1",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        scope: .cluster
    )

    let resourceVersion = ""
    /// `status.allowed`
    private(set) var isAllowed = false

    init(reading bytes: Span<UInt8>) throws {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard field.number == 3, let message = field.message else { continue }
            let status = bytes.extracting(message)
            var statusReader = WireReader()
            while let field = try statusReader.next(in: status) {
                if field.number == 1, let integer = field.integer { isAllowed = integer != 0 }
            }
        }
    }

    /// A review with `spec.resourceAttributes`, in an envelope.
    static func encoded(for request: RequestInfo) -> [UInt8] {
        let attributes = [
            (1, request.namespace ?? ""), (2, request.verb.rawValue), (3, request.resource.group),
            (4, request.resource.version), (5, request.resource.plural), (6, request.subresource ?? ""),
            (7, request.name ?? ""),
        ]
        let resourceAttributes = attributes.filter { !$0.1.isEmpty }.flatMap { field($0.0, Array($0.1.utf8)) }
        let object = field(2, field(1, resourceAttributes))
        let typeMeta = field(1, Array(resource.apiVersion.utf8)) + field(2, Array(resource.kind.utf8))
        return Envelope.prefix + field(1, typeMeta) + field(2, object)
    }

    private static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        WireField.header(number: number, length: content.count) + content
    }
}
