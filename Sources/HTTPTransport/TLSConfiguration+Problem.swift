// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension TLSConfiguration {
    /// Why connections cannot be made with it, without any of its content; nil: OpenSSL can read the certificates and the
    /// key, and these belong together. Dates and names are not looked at. Blocks the thread for less than a millisecond.
    package var problem: String? {
        if let certificateAuthorities {
            let bundle = CertificateBundle(pem: certificateAuthorities)
            guard bundle.count > 0, bundle.isComplete else {
                return "the certificate authorities are not PEM, or not complete"
            }
        }
        do throws(ClientCertificate.Problem) {
            try clientCertificate?.check()
            return nil
        } catch {
            return "client certificate: \(error.message)"
        }
    }
}
