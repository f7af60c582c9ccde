// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport
package import KubernetesAPI
import SwiftProtobuf

extension KubernetesError {
    /// The transport gave no answer.
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

    /// The answer's bytes are wrong.
    init(_ error: WireError, request: RequestInfo) {
        self.init(code: .decoding, message: "\(request): the server's answer cannot be read: \(error.message)")
    }

    /// The server succeeded, and answered in another encoding.
    init(contentType: String, httpStatus: Int, request: RequestInfo) {
        self.init(
            code: .decoding,
            message: "\(request): \(httpStatus): requested \(Envelope.mediaType), the response is "
                + "\(excerpt(Array(contentType.utf8))): \(Self.protobufAdvice)",
            httpStatus: httpStatus
        )
    }

    /// What to do about a server that does not speak protobuf.
    private static let protobufAdvice =
        "this client speaks only Kubernetes' protobuf; "
        + "connect it to the kube-apiserver itself, or let the proxy in between pass \(Envelope.mediaType)"

    /// The task was cancelled while it waited for its turn.
    static func cancelled(_ request: RequestInfo) -> KubernetesError {
        KubernetesError(code: .cancelled, message: "\(request): cancelled")
    }

    /// The server answered with an error.
    ///
    /// - Parameter body: a Status in protobuf or JSON, or else anything, of which the beginning is shown.
    package init(httpStatus: Int, retryAfterHeader: String?, body: [UInt8], request: RequestInfo) {
        let status = Status(errorBody: body)
        let text = status.map(\.message) ?? excerpt(body)
        self.init(
            httpStatus: httpStatus,
            status: status,
            text: text.isEmpty ? "the server gave no reason" : text,
            retryAfterHeader: retryAfterHeader,
            request: request
        )
    }

    /// A watch that had begun ended in an error.
    package init(watchStatus status: Status, request: RequestInfo) {
        self.init(
            httpStatus: Int(status.code),
            status: status,
            text: status.message,
            retryAfterHeader: nil,
            request: request
        )
    }

    /// One answer of a proxy must not silence reports for hours; a server that means it says so again.
    package static var maximumRetryAfter: Duration { .seconds(60) }

    private init(httpStatus: Int, status: Status?, text: String, retryAfterHeader: String?, request: RequestInfo) {
        let code = Code(httpStatus: httpStatus, status: status)
        let advice =
            switch httpStatus {
            case 406, 415: "; requested \(Envelope.mediaType): \(Self.protobufAdvice)"
            default: code == .forbidden ? "; the RBAC rule for it is \(request.rbacRule)" : ""
            }
        // The header may also be a date: no API server sends one.
        let seconds = retryAfterHeader.flatMap(Int.init) ?? status.map { Int($0.details.retryAfterSeconds) } ?? 0
        self.init(
            code: code,
            message: "\(request): \(httpStatus): \(text)\(advice)",
            httpStatus: httpStatus,
            status: status,
            retryAfter: seconds > 0 ? min(.seconds(seconds), Self.maximumRetryAfter) : nil
        )
    }
}

extension Status {
    /// Error answers come in protobuf as asked, and in JSON from what stands before the API's own handlers.
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

/// The beginning of a text of unknown origin, on one line.
private func excerpt(_ body: [UInt8]) -> String {
    let text = String(decoding: body.prefix(256), as: UTF8.self)
    return text.split(whereSeparator: { $0.isWhitespace || $0.asciiValue.map { $0 < 0x20 } ?? false })
        .joined(separator: " ")
}

extension KubernetesError {
    /// Whether the server has certainly not done what was asked: it said so, or it was never reached. Otherwise a write
    /// may have happened although its answer was lost.
    package var wasDefinitelyNotApplied: Bool {
        // Without a Status it may come from a proxy that gave up on the API server, as a 502 may.
        if httpStatus == 404 { return code == .notFound }
        // A success whose response cannot be read is one.
        if let httpStatus, httpStatus < 300 { return false }
        if let httpStatus { return httpStatus < 500 || httpStatus == 503 }
        guard let transport = cause as? HTTPError else { return false }
        return [.connect, .tls, .invalidRequest].contains(transport.code)
    }

    /// The kind of failure, for a log that has each kind once: the code, and what failed of a connection.
    package var kind: String {
        "\(code)" + ((cause as? HTTPError).map { " (\($0.code))" } ?? "")
    }
}
