// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The trusted authorities and the client's certificate. TLS 1.2 is the lowest version, always.
package struct TLSConfiguration: Sendable, Hashable {
    package struct ClientCertificate: Sendable, Hashable {
        /// PEM: the certificate, then the intermediate ones.
        package var certificate: [UInt8]
        /// PEM, unencrypted.
        package var privateKey: [UInt8]

        package init(certificate: [UInt8], privateKey: [UInt8]) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    /// PEM: the only trusted authorities, read as a ``CertificateBundle``; nil trusts the system's.
    package var certificateAuthorities: [UInt8]?
    /// Sent to servers that request one.
    package var clientCertificate: ClientCertificate?
    /// Whether the server's certificate and name are verified. Not to be switched off but for tests:
    /// `insecure-skip-tls-verify`.
    package var verifiesServer: Bool
    /// The name for which the server's certificate is verified, and which is sent to the server (SNI); nil is the URL's
    /// host.
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
    /// Why no connection can be made with it, without any of its content; nil when OpenSSL can read certificates and
    /// key, and they belong together. Dates and names are not checked. Blocks the thread for less than a millisecond.
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

    /// The authorities that can be read, in PEM; nil trusts the system's.
    ///
    /// - Throws: Code.tls, when there are authorities and none can be read.
    func readableAuthorities() throws(HTTPError) -> [UInt8]? {
        guard let certificateAuthorities else { return nil }
        let bundle = CertificateBundle(pem: certificateAuthorities)
        guard bundle.count > 0 else {
            throw HTTPError(code: .tls, message: "there is no certificate among the certificate authorities")
        }
        return bundle.pem
    }

    /// - Throws: Code.tls, when it cannot be used.
    func checkClientCertificate() throws(HTTPError) {
        do throws(ClientCertificate.Problem) {
            try clientCertificate?.check()
        } catch {
            throw HTTPError(code: .tls, message: "client certificate: \(error.message)")
        }
    }
}
