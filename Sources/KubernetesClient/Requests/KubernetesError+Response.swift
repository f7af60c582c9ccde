// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport
package import KubernetesAPI
import SwiftProtobuf

extension KubernetesError {
    /// The transport failed.
    init(_ error: HTTPError, request: RequestInfo) {
        let code: Code =
            switch error.code {
            case .cancelled: .cancelled
            case .timeout: .timeout
            case .shutdown: .shutdown
            case .bodyTooLarge: .decoding
            default: .transport
            }
        self.init(code: code, message: "\(request): \(error.message)", cause: error)
    }

    /// The response is malformed.
    init(_ error: WireError, request: RequestInfo) {
        self.init(code: .decoding, message: "\(request): malformed response: \(error.message)")
    }

    /// A successful response in another encoding.
    init(contentType: String, httpStatus: Int, request: RequestInfo) {
        self.init(
            code: .decoding,
            message: "\(request): \(httpStatus): requested \(Envelope.mediaType), the response is "
                + "\(excerpt(Array(contentType.utf8))): \(Self.protobufAdvice)",
            httpStatus: httpStatus
        )
    }

    private static let protobufAdvice =
        "this client supports only Kubernetes' protobuf; "
        + "connect it directly to kube-apiserver, or let the proxy pass \(Envelope.mediaType)"

    /// The task was cancelled before the request was sent.
    static func cancelled(_ request: RequestInfo) -> KubernetesError {
        KubernetesError(code: .cancelled, message: "\(request): cancelled")
    }

    /// An error response.
    ///
    /// - Parameter body: a Status in protobuf or JSON; of anything else the message shows the beginning.
    package init(httpStatus: Int, retryAfterHeader: String?, body: [UInt8], request: RequestInfo) {
        let status = Status(errorBody: body)
        let text = status.map(\.message) ?? excerpt(body)
        self.init(
            httpStatus: httpStatus,
            status: status,
            text: text.isEmpty ? "the server sent no reason" : text,
            retryAfterHeader: retryAfterHeader,
            request: request
        )
    }

    /// An error within an open watch.
    package init(watchStatus status: Status, request: RequestInfo) {
        self.init(
            httpStatus: Int(status.code),
            status: status,
            text: status.message,
            retryAfterHeader: nil,
            request: request
        )
    }

    /// The upper bound of ``retryAfter``: one response of a proxy must not stop a client for hours. An overloaded
    /// server sends the header again.
    package static var maximumRetryAfter: Duration { .seconds(60) }

    /// The most of the server's text that a message has, in bytes: an admission webhook writes any.
    static let textLimit = 4096

    private init(httpStatus: Int, status: Status?, text: String, retryAfterHeader: String?, request: RequestInfo) {
        let code = Code(httpStatus: httpStatus, status: status)
        let advice =
            switch httpStatus {
            case 406, 415: "; requested \(Envelope.mediaType): \(Self.protobufAdvice)"
            default: code == .forbidden ? "; the RBAC rule for it is \(request.rbacRule)" : ""
            }
        // The header may also be a date, which no API server sends.
        let seconds = retryAfterHeader.flatMap(Int.init) ?? status.map { Int($0.details.retryAfterSeconds) } ?? 0
        self.init(
            code: code,
            message: "\(request): \(httpStatus): \(EventRecord.bounded(text, to: Self.textLimit))\(advice)",
            httpStatus: httpStatus,
            status: status,
            retryAfter: seconds > 0 ? min(.seconds(seconds), Self.maximumRetryAfter) : nil
        )
    }
}

extension Status {
    /// API handlers respond in protobuf, as requested; handlers before them respond in JSON.
    fileprivate init?(errorBody body: [UInt8]) {
        if body.first == UInt8(ascii: "{") {
            var options = JSONDecodingOptions()
            options.ignoreUnknownFields = true
            guard let status = try? Status(jsonUTF8Bytes: body, options: options), status.code != 0 else { return nil }
            self = status
        } else {
            guard let status = try? Envelope(body.span).status(in: body.span) else { return nil }
            self = status
        }
    }
}

/// The beginning of an unexpected body, on one line.
private func excerpt(_ body: [UInt8]) -> String {
    let text = String(decoding: body.prefix(256), as: UTF8.self)
    return text.split(whereSeparator: { $0.isWhitespace || $0.asciiValue.map { $0 < 0x20 } ?? false })
        .joined(separator: " ")
}

extension KubernetesError {
    /// Whether the server has definitely not applied the request: it said so, or it was never reached. Otherwise a
    /// write may have been applied although its response was lost.
    package var wasDefinitelyNotApplied: Bool {
        // Without a Status, a 404 or a 503 may come from a proxy that has sent the request, as a 502 may. Envoy
        // responds with 503 "upstream connect error or disconnect/reset before headers".
        if httpStatus == 404 { return code == .notFound }
        // A success with a malformed response.
        if let httpStatus, httpStatus < 300 { return false }
        if let httpStatus { return httpStatus < 500 || httpStatus == 503 && status != nil }
        // Without credentials, nothing is sent.
        if cause is KubernetesConfigurationError { return true }
        guard let transport = cause as? HTTPError else { return false }
        return [.connect, .tls, .invalidRequest].contains(transport.code)
    }

    /// The kind of failure, to log each kind once: the code, and for a connection the transport's code.
    package var kind: String {
        "\(code)" + ((cause as? HTTPError).map { " (\($0.code))" } ?? "")
    }
}
