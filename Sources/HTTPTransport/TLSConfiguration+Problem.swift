// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import COpenSSL

extension TLSConfiguration {
    /// Why connections cannot be made with it, without any of its content; nil: OpenSSL can read the certificates and the
    /// key, and these belong together. Dates and names are not looked at. Blocks the thread for less than a millisecond.
    package var problem: String? {
        if let authorities = certificateAuthorities, !Self.areCertificates(authorities) {
            return "the certificate authorities are not PEM, or not complete"
        }
        guard let client = clientCertificate else { return nil }
        guard Self.areCertificates(client.certificate) else {
            return "the client certificate is not PEM, or not complete"
        }
        let result = unsafe client.certificate.withUnsafeBytes { certificate in
            unsafe client.privateKey.withUnsafeBytes { key in
                unsafe COpenSSL_check_pair(certificate.baseAddress, certificate.count, key.baseAddress, key.count)
            }
        }
        switch result {
        case COpenSSL_usable: return nil
        case COpenSSL_mismatch: return "the client certificate and the client key do not belong together"
        default: return "the client key is not PEM, not complete, or encrypted"
        }
    }

    private static func areCertificates(_ text: [UInt8]) -> Bool {
        // Read within the call.
        unsafe text.withUnsafeBytes {
            unsafe COpenSSL_check_certificates($0.baseAddress, $0.count) == COpenSSL_usable
        }
    }
}
