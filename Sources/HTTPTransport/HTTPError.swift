// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// Why a request has no response, or not all of it.
package struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
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

        /// The request cannot be sent: its URL is invalid, or its scheme is neither http nor https.
        package static let invalidRequest = Code(kind: .invalidRequest)
        /// The server's name cannot be resolved, it refuses connections, or a timeout has passed before there was one.
        /// Nothing of the request was sent.
        package static let connect = Code(kind: .connect)
        /// The server's certificate is not trusted (its authority, its name, its dates), or the server refuses the
        /// client's. The server has not served the request. Only if libcurl had sent it before, on a kept connection
        /// that ended without a response, may that copy have been received.
        package static let tls = Code(kind: .tls)
        /// One of ``HTTPRequest/Timeouts`` has passed since the request was sent. The server may have received it.
        package static let timeout = Code(kind: .timeout)
        /// The connection broke, or the server does not speak HTTP. The server may have received the request.
        package static let transport = Code(kind: .transport)
        /// The body has more bytes than the limit.
        package static let bodyTooLarge = Code(kind: .bodyTooLarge)
        package static let cancelled = Code(kind: .cancelled)
        package static let shutdown = Code(kind: .shutdown)

        /// One word, for logs and metrics.
        package var description: String { kind.rawValue }
    }

    package var code: Code
    /// The request, what failed, and what to do about it when that is known.
    package var message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code): \(message)" }
}

extension HTTPError {
    /// - Parameter detail: libcurl's sentence about this transfer; empty when it has none.
    init(_ result: CURLcode, detail: String, request: HTTPRequest) {
        let sentence = unsafe detail.isEmpty ? String(cString: curl_easy_strerror(result)) : detail
        let (code, advice): (Code, String) =
            switch result {
            case CURLE_UNSUPPORTED_PROTOCOL where request.url.lowercased().hasPrefix("http"):
                // The request's scheme is supported; the server does not speak HTTP.
                (.transport, "")
            case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
                (.invalidRequest, "")
            case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT:
                (.connect, "")
            case CURLE_PEER_FAILED_VERIFICATION:
                (.tls, ": check the server's certificate, its name and the certificate authority")
            case CURLE_SSL_CACERT_BADFILE:
                (.tls, ": the certificate authority is not PEM")
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

    /// Whether the server has refused the client certificate. In TLS 1.3 the alert comes after the handshake, in place
    /// of the response (RFC 8446, section 6.2). OpenSSL words it "tlsv13 alert certificate required" or "tlsv1 alert
    /// unknown ca".
    private static func isCertificateAlert(_ sentence: String) -> Bool {
        sentence.contains(" alert ") && (sentence.contains("certificate") || sentence.contains("unknown ca"))
    }
}
