// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Whom to trust and how to prove who we are. TLS 1.2 and up, always.
package struct TLSConfiguration: Sendable, Hashable {
    /// A certificate and the key that goes with it.
    package struct ClientCertificate: Sendable, Hashable {
        /// PEM; the certificate first, then those between it and the authority.
        package var certificate: [UInt8]
        /// PEM, not encrypted.
        package var privateKey: [UInt8]

        /// A certificate and its key.
        package init(certificate: [UInt8], privateKey: [UInt8]) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    /// PEM: the only authorities to trust, read as a ``CertificateBundle``; nil: the system's.
    package var certificateAuthorities: [UInt8]?
    /// Shown to servers that ask for one.
    package var clientCertificate: ClientCertificate?
    /// Whether the server's certificate and name are checked. To be switched off for trying something out only.
    package var verifiesServer: Bool
    /// The name that the server's certificate has to be for, and that the server is reported (SNI); nil: the URL's host.
    package var serverName: String?

    /// By default: the system's authorities, no client certificate, everything checked.
    package init(
        certificateAuthorities: [UInt8]? = nil,
        clientCertificate: ClientCertificate? = nil,
        verifiesServer: Bool = true,
        serverName: String? = nil
    ) {
        self.certificateAuthorities = certificateAuthorities
        self.clientCertificate = clientCertificate
        self.verifiesServer = verifiesServer
        self.serverName = serverName
    }
}

extension TLSConfiguration {
    /// The authorities that can be read, in PEM; nil: the system's.
    ///
    /// - Throws: TLS, where there are authorities and none can be read.
    func readableAuthorities() throws(HTTPError) -> [UInt8]? {
        guard let certificateAuthorities else { return nil }
        let bundle = CertificateBundle(pem: certificateAuthorities)
        guard bundle.count > 0 else {
            throw HTTPError(code: .tls, message: "there is no certificate among the certificate authorities")
        }
        return bundle.pem
    }

    /// - Throws: TLS, where it cannot be used.
    func checkClientCertificate() throws(HTTPError) {
        do throws(ClientCertificate.Problem) {
            try clientCertificate?.check()
        } catch {
            throw HTTPError(code: .tls, message: "client certificate: \(error.message)")
        }
    }
}
