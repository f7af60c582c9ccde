// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import COpenSSL

extension TLSConfiguration.ClientCertificate {
    /// Why a client certificate or its key cannot be used. The message has no part of either.
    package struct Problem: Error, Sendable, Hashable {
        package enum Part: Sendable, Hashable {
            case certificate
            case privateKey
        }

        package var part: Part
        package var message: String
    }

    /// Loads both as libcurl does for each connection, so that the program fails at its start and not with its first
    /// request.
    ///
    /// libcurl 7.88 crashes for an encrypted key without a password: https://github.com/curl/curl/issues/16806.
    package func check() throws(Problem) {
        // SSL_CTX_new(3)
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw Problem(part: .certificate, message: "OpenSSL has no memory for a certificate")
        }
        defer { unsafe SSL_CTX_free(context) }
        ERR_clear_error()
        defer { ERR_clear_error() }
        let leaf = try unsafe leaf(in: context)
        defer { unsafe X509_free(leaf) }
        let key = try unsafe key()
        defer { unsafe EVP_PKEY_free(key) }
        guard unsafe X509_check_private_key(leaf, key) == 1 else {
            throw Problem(part: .privateKey, message: "the private key does not belong to the certificate")
        }
        guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1 else {
            throw Problem(part: .privateKey, message: "the private key cannot be used: \(Self.reason)")
        }
    }

    /// The first certificate, which the caller has to free. Checks that the rest of the chain can be read.
    private func leaf(in context: OpaquePointer) throws(Problem) -> OpaquePointer {
        let chain: [OpaquePointer]
        let isComplete: Bool
        unsafe (chain, isComplete) = Self.withBIO(of: certificate) { bio in
            var chain: [OpaquePointer] = unsafe []
            while let certificate = unsafe PEM_read_bio_X509(bio, nil, noPassword, nil) {
                unsafe chain.append(certificate)
            }
            // PEM_read_bio_X509(3): the end of the text is an error too.
            let error = ERR_peek_last_error()
            return unsafe (
                chain, ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE
            )
        }
        guard let leaf = unsafe chain.first else {
            throw Problem(part: .certificate, message: "there is no certificate in PEM that can be read")
        }
        unsafe chain.dropFirst().forEach { unsafe X509_free($0) }
        guard isComplete else {
            unsafe X509_free(leaf)
            throw Problem(part: .certificate, message: "a certificate behind the first one cannot be read")
        }
        ERR_clear_error()
        guard unsafe SSL_CTX_use_certificate(context, leaf) == 1 else {
            unsafe X509_free(leaf)
            throw Problem(part: .certificate, message: "the certificate cannot be used: \(Self.reason)")
        }
        return unsafe leaf
    }

    /// The private key, which the caller has to free.
    private func key() throws(Problem) -> OpaquePointer {
        let key = unsafe Self.withBIO(of: privateKey) { bio in
            unsafe PEM_read_bio_PrivateKey(bio, nil, noPassword, nil)
        }
        if let key = unsafe key { return unsafe key }
        let blocks = PEMBlock.blocks(of: privateKey).filter { $0.label.hasSuffix("PRIVATE KEY") }
        let isEncrypted = blocks.contains { block in
            // RFC 7468, section 11; RFC 1421, section 4.6.1.1.
            block.label == "ENCRYPTED PRIVATE KEY" || block.headers.contains { $0.hasSuffix("ENCRYPTED") }
        }
        let message =
            if isEncrypted {
                "the private key is encrypted, which is not supported: decrypt it, as openssl pkey does"
            } else if blocks.isEmpty {
                "there is no private key in PEM"
            } else {
                "the private key cannot be read"
            }
        throw Problem(part: .privateKey, message: message)
    }

    private static func withBIO<R>(of bytes: [UInt8], _ body: (OpaquePointer?) -> R) -> R {
        // An empty buffer has no address.
        unsafe (bytes + [UInt8(ascii: "\n")]).withUnsafeBytes { buffer in
            // BIO_new_mem_buf(3): reads from the buffer, without a copy.
            let bio = unsafe BIO_new_mem_buf(buffer.baseAddress, CInt(clamping: buffer.count))
            defer { unsafe BIO_free(bio) }
            return unsafe body(bio)
        }
    }

    /// OpenSSL's sentence about the last error. It has no part of the certificate or the key.
    private static var reason: String {
        guard let reason = unsafe ERR_reason_error_string(ERR_peek_last_error()) else { return "unknown error" }
        return unsafe String(cString: reason)
    }
}

/// pem_password_cb(3): has no password. The default callback prompts for one on the terminal.
private func noPassword(
    _: UnsafeMutablePointer<CChar>?,
    _: CInt,
    _: CInt,
    _: UnsafeMutableRawPointer?
) -> CInt { -1 }
