// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

/// A request that brought no usable answer.
package struct KubernetesError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String {
            case badRequest
            case unauthorized
            case forbidden
            case namespaceTerminating
            case notFound
            case alreadyExists
            case conflict
            case expired
            case invalid
            case tooManyRequests
            case timeout
            case serverError
            case transport
            case decoding
            case cancelled
            case shutdown
        }

        private let base: Base

        /// 400, and every other 4xx without a code of its own: the request is wrong, not the state of the cluster.
        package static let badRequest = Code(base: .badRequest)
        /// 401: the credentials are missing, wrong or out of date.
        package static let unauthorized = Code(base: .unauthorized)
        /// 403: an RBAC rule is missing, or admission refuses.
        package static let forbidden = Code(base: .forbidden)
        /// 403, cause NamespaceTerminating: a create in a namespace that is being deleted.
        package static let namespaceTerminating = Code(base: .namespaceTerminating)
        /// 404 with reason NotFound: the object, or the namespace to create it in. A 404 without such a Status is not the
        /// API server's word on an object but a load balancer's, or a server's that has just started, and counts as
        /// `serverError`: https://github.com/kubernetes/kubernetes/issues/115241 and /58577.
        package static let notFound = Code(base: .notFound)
        /// 409, reason AlreadyExists: a create for a name that is taken.
        package static let alreadyExists = Code(base: .alreadyExists)
        /// 409: the object is no longer at the version that the write asks for.
        package static let conflict = Code(base: .conflict)
        /// 410: the version or the list token is too old; list again.
        package static let expired = Code(base: .expired)
        /// 422: a field has a value that the server does not take.
        package static let invalid = Code(base: .invalid)
        /// 429: later; see ``KubernetesError/retryAfter``.
        package static let tooManyRequests = Code(base: .tooManyRequests)
        /// The answer did not come in time, or the server says so of its own parts (504).
        package static let timeout = Code(base: .timeout)
        /// 5xx, or a 404 that is not about an object.
        package static let serverError = Code(base: .serverError)
        /// There is no connection, or it broke.
        package static let transport = Code(base: .transport)
        /// The server's bytes are not what they should be.
        package static let decoding = Code(base: .decoding)
        /// The task was cancelled.
        package static let cancelled = Code(base: .cancelled)
        /// The client was shut down.
        package static let shutdown = Code(base: .shutdown)

        /// The code's name.
        package var description: String { base.rawValue }
    }

    /// What kind of failure it is.
    package var code: Code
    /// Which request failed and why, in the server's words where it gave any: `get leases kube-system/lock: ...`.
    package var message: String
    /// The response's HTTP status; nil where none came.
    package var httpStatus: Int?
    /// The server's Status in whole, where it sent one.
    package var status: Status?
    /// How long the server asks to wait before the request is sent again.
    package var retryAfter: Duration?
    /// What is below: the transport's error.
    package var cause: (any Error)?

    /// Describes a failure.
    package init(
        code: Code,
        message: String,
        httpStatus: Int? = nil,
        status: Status? = nil,
        retryAfter: Duration? = nil,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.httpStatus = httpStatus
        self.status = status
        self.retryAfter = retryAfter
        self.cause = cause
    }

    /// The message.
    package var description: String { message }
}

extension KubernetesError {
    /// The server refused because an RBAC rule is missing, which would be the same for every such request; other
    /// refusals with 403 (a quota, an admission webhook) are about this object.
    ///
    /// Source: k8s.io/apiserver, `pkg/endpoints/handlers/responsewriters/errors.go`: `User "U" cannot VERB resource "R"`.
    package var isMissingRule: Bool {
        guard code == .forbidden, let text = status?.message else { return false }
        return text.contains(" cannot ") && text.contains(" resource ")
    }
}

extension KubernetesError.Code {
    /// - Parameter status: where there is one, it reports apart what shares an HTTP status.
    init(httpStatus: Int, status: Status?) {
        switch httpStatus {
        case 401: self = .unauthorized
        case 403:
            let isTerminating = status?.details.causes.contains { $0.reason == "NamespaceTerminating" } ?? false
            self = isTerminating ? .namespaceTerminating : .forbidden
        case 404: self = status?.reason == "NotFound" ? .notFound : .serverError
        case 409: self = status?.reason == "AlreadyExists" ? .alreadyExists : .conflict
        case 410: self = .expired
        case 422: self = .invalid
        case 429: self = .tooManyRequests
        case 504: self = .timeout
        case 400..<500: self = .badRequest
        default: self = .serverError
        }
    }
}
