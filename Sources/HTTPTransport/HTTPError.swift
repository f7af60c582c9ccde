// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// A request that brought no response, or not all of it.
package struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it is.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case invalidRequest
            case connect
            case tls
            case timeout
            case transport
            case bodyTooLarge
            case cancelled
            case shutdown
        }

        private let kind: Kind

        /// The request cannot be sent: no URL, or neither http nor https.
        package static let invalidRequest = Code(kind: .invalidRequest)
        /// The server's name is unknown, or nobody listens there.
        package static let connect = Code(kind: .connect)
        /// No trust: an unknown authority, another name, an expired certificate, or ours is refused.
        package static let tls = Code(kind: .tls)
        /// A limit of ``HTTPRequest/Timeouts`` is over.
        package static let timeout = Code(kind: .timeout)
        /// The connection broke, or what came is no HTTP.
        package static let transport = Code(kind: .transport)
        /// More bytes than the reader wants.
        package static let bodyTooLarge = Code(kind: .bodyTooLarge)
        /// The task was cancelled.
        package static let cancelled = Code(kind: .cancelled)
        /// The client is shut down.
        package static let shutdown = Code(kind: .shutdown)

        /// A word for logs and metrics.
        package var description: String { kind.rawValue }
    }

    /// What kind of failure it is.
    package var code: Code
    /// What happened, where, and what to do where that is known.
    package var message: String

    /// A failure.
    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    /// Kind and message.
    package var description: String { "\(code): \(message)" }
}

extension HTTPError {
    /// - Parameter detail: libcurl's own sentence on this transfer, if it has one.
    init(_ result: CURLcode, detail: String, request: HTTPRequest) {
        let sentence = unsafe detail.isEmpty ? String(cString: curl_easy_strerror(result)) : detail
        let (code, advice): (Code, String) =
            switch result {
            case CURLE_UNSUPPORTED_PROTOCOL where request.url.lowercased().hasPrefix("http"):
                // Not ours: the server has answered in something that is no HTTP.
                (.transport, "")
            case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
                (.invalidRequest, "")
            case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT:
                (.connect, "")
            case CURLE_PEER_FAILED_VERIFICATION:
                (.tls, ": check the server's certificate, its name and the certificate authority")
            case CURLE_SSL_CACERT_BADFILE:
                (.tls, ": the certificate authority is no PEM")
            case CURLE_SSL_CERTPROBLEM:
                (.tls, ": check the client certificate and its key")
            case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_ENGINE_INITFAILED:
                (.tls, "")
            case CURLE_RECV_ERROR where Self.isCertificateAlert(sentence):
                (.tls, ": the server refuses the client certificate")
            case CURLE_WRITE_ERROR:
                (.bodyTooLarge, ": the body has more than \(HTTPBody.bufferLimit) bytes")
            case CURLE_OPERATION_TIMEDOUT:
                (.timeout, "")
            default:
                (.transport, "")
            }
        self.init(code: code, message: "\(request): \(sentence)\(advice)")
    }

    /// Whether the server has refused our certificate, which in TLS 1.3 comes after the handshake, in place of the response:
    /// RFC 8446, 6.2, in OpenSSL's words ("tlsv13 alert certificate required", "tlsv1 alert unknown ca").
    private static func isCertificateAlert(_ sentence: String) -> Bool {
        sentence.contains(" alert ") && (sentence.contains("certificate") || sentence.contains("unknown ca"))
    }
}
