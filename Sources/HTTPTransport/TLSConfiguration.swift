// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which servers an ``HTTPClient`` trusts over TLS, and the certificate that it authenticates with. TLS 1.2 is always
/// the lowest version.
package struct TLSConfiguration: Sendable, Hashable {
    package struct ClientCertificate: Sendable, Hashable {
        /// PEM: the client's certificate, then the intermediate certificates.
        package var certificate: [UInt8]
        /// PEM, unencrypted.
        package var privateKey: [UInt8]

        package init(certificate: [UInt8], privateKey: [UInt8]) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    /// PEM, read as a ``CertificateBundle``: no other authorities are trusted; nil: those of the system.
    package var certificateAuthorities: [UInt8]?
    /// Sent to servers that request one.
    package var clientCertificate: ClientCertificate?
    /// Whether the server's certificate and name are verified: not with `insecure-skip-tls-verify` of a kubeconfig.
    package var verifiesServer: Bool
    /// The name that is sent to the server (SNI) and that its certificate must be valid for; nil: the URL's host.
    package var serverName: String?

    /// By default the system's authorities are trusted, there is no client certificate, and servers are verified.
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
    /// Why the configuration cannot be used; nil when OpenSSL can read the certificates and the key, and the key
    /// belongs to the client's certificate. Dates and names are not checked. The text contains no certificate and no
    /// key. Blocks the thread for less than a millisecond.
    package var problem: String? {
        if let certificateAuthorities, CertificateBundle(pem: certificateAuthorities).count == 0 {
            return "no certificate authority can be read"
        }
        do throws(ClientCertificate.Problem) {
            try clientCertificate?.check()
            return nil
        } catch {
            return "client certificate: \(error.message)"
        }
    }

    /// Whether the authorities are complete, see ``CertificateBundle/isComplete``.
    package var areAuthoritiesComplete: Bool {
        certificateAuthorities.map { CertificateBundle(pem: $0).isComplete } ?? true
    }

    /// The readable ones of ``certificateAuthorities``, in PEM; nil: the authorities of the system are trusted.
    ///
    /// - Throws: ``HTTPError`` with the code `tls`, if there are some and none of them can be read.
    func readableAuthorities() throws(HTTPError) -> [UInt8]? {
        guard let certificateAuthorities else { return nil }
        let bundle = CertificateBundle(pem: certificateAuthorities)
        guard bundle.count > 0 else {
            throw HTTPError(code: .tls, message: "no certificate authority can be read")
        }
        return bundle.pem
    }

    /// - Throws: ``HTTPError`` with the code `tls`, if there is a client certificate that cannot be used.
    func checkClientCertificate() throws(HTTPError) {
        do throws(ClientCertificate.Problem) {
            try clientCertificate?.check()
        } catch {
            throw HTTPError(code: .tls, message: "client certificate: \(error.message)")
        }
    }
}
