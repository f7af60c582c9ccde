// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

/// Why a request of a ``KubernetesClient`` failed.
package struct KubernetesError: Error, Sendable, CustomStringConvertible {
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

        /// 400, and every other 4xx without a code of its own: the request is invalid, whatever the state of the
        /// cluster. Also a request that the client refuses to send, such as one with an empty name.
        package static let badRequest = Code(base: .badRequest)
        /// 401: the credentials are missing, invalid or expired. Also if the client cannot obtain them; then nothing is
        /// sent.
        package static let unauthorized = Code(base: .unauthorized)
        /// 403: an RBAC rule is missing, or admission rejects the request.
        package static let forbidden = Code(base: .forbidden)
        /// 403, cause NamespaceTerminating: a create in a namespace that is being deleted.
        package static let namespaceTerminating = Code(base: .namespaceTerminating)
        /// 404 with reason NotFound: the object does not exist, or the namespace to create it in. A 404 without such a
        /// Status comes from a load balancer or from a server that has just started. It does not show that the object
        /// is gone, and counts as `serverError`: https://github.com/kubernetes/kubernetes/issues/115241 and /58577.
        package static let notFound = Code(base: .notFound)
        /// 409, reason AlreadyExists: the name is taken.
        package static let alreadyExists = Code(base: .alreadyExists)
        /// 409: the object has changed since the version that the write is based on.
        package static let conflict = Code(base: .conflict)
        /// 410: the resourceVersion or the continue token is too old; list again.
        package static let expired = Code(base: .expired)
        /// 422: the server rejects the value of a field.
        package static let invalid = Code(base: .invalid)
        /// 429: retry later, see ``KubernetesError/retryAfter``.
        package static let tooManyRequests = Code(base: .tooManyRequests)
        /// The request was sent, and the response did not arrive in time; or the server or a proxy reports a timeout
        /// (504).
        package static let timeout = Code(base: .timeout)
        /// Any other status of an error: 5xx, a 404 without reason NotFound, or a redirect, which is not followed.
        package static let serverError = Code(base: .serverError)
        /// The connection could not be established, or not in time, or was lost.
        package static let transport = Code(base: .transport)
        /// The response is malformed, too large, or not in the requested encoding. A write may have been applied.
        package static let decoding = Code(base: .decoding)
        /// The task was cancelled.
        package static let cancelled = Code(base: .cancelled)
        /// The client was shut down.
        package static let shutdown = Code(base: .shutdown)

        package var description: String { base.rawValue }
    }

    package var code: Code
    /// The request and what failed, with the server's message if it sent one: `get leases kube-system/lock: ...`.
    package var message: String
    /// nil if there was no response.
    package var httpStatus: Int?
    /// The server's Status, if it sent one.
    package var status: Status?
    /// `Retry-After`, at most ``maximumRetryAfter``; nil if the server sent none.
    package var retryAfter: Duration?
    /// The underlying error, such as the transport's.
    package var cause: (any Error)?

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

    package var description: String { message }
}

extension KubernetesError {
    /// Whether the request was forbidden because an RBAC rule is missing: every request with the same verb and resource
    /// fails then. Other rejections with 403 (a quota, an admission webhook) concern this object only.
    ///
    /// Source: k8s.io/apiserver, `pkg/endpoints/handlers/responsewriters/errors.go`: `User "U" cannot VERB resource
    /// "R"`.
    package var isMissingRule: Bool {
        guard code == .forbidden, let text = status?.message else { return false }
        return text.contains(" cannot ") && text.contains(" resource ")
    }
}

extension KubernetesError.Code {
    /// The code of an error response.
    ///
    /// - Parameter status: its reason and causes distinguish errors with the same HTTP status.
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
