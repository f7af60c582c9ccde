// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

/// The files from which a TLS configuration was read, and is read again when they change.
///
/// As in client-go, a certificate and a key are read again only where both come from files: `loadTLSFiles` in
/// [transport/transport.go](https://github.com/kubernetes/client-go/blob/master/transport/transport.go).
package struct TLSFiles: Sendable, Hashable {
    package struct ClientCertificate: Sendable, Hashable {
        package var certificate: String
        /// May be the same file.
        package var privateKey: String
    }

    /// nil if they are not configured, or inline in the kubeconfig.
    package var certificateAuthorities: String?
    /// nil if it is not configured, or part of it is inline in the kubeconfig.
    package var clientCertificate: ClientCertificate?

    package init(certificateAuthorities: String? = nil, clientCertificate: ClientCertificate? = nil) {
        self.certificateAuthorities = certificateAuthorities
        self.clientCertificate = clientCertificate
    }

    /// Each path once.
    var paths: [String] {
        let pair = clientCertificate.map { [$0.certificate, $0.privateKey] } ?? []
        var paths = certificateAuthorities.map { [$0] } ?? []
        for path in pair where !paths.contains(path) { paths.append(path) }
        return paths
    }

    /// `tls` with the current content of the files.
    ///
    /// - Throws: if a file cannot be read, or its content is not usable. A file of authorities that is half-written may
    ///   be usable.
    func read(into tls: TLSConfiguration) throws(KubernetesConfigurationError) -> TLSConfiguration {
        var tls = tls
        if let path = certificateAuthorities {
            tls.certificateAuthorities = try contents(ofFile: path, limit: Kubeconfig.maximumSize)
        }
        if let paths = clientCertificate {
            tls.clientCertificate = TLSConfiguration.ClientCertificate(
                certificate: try contents(ofFile: paths.certificate, limit: Kubeconfig.maximumSize),
                privateKey: try contents(ofFile: paths.privateKey, limit: Kubeconfig.maximumSize)
            )
        }
        if let problem = tls.problem { throw KubernetesConfigurationError(code: .invalid, message: problem) }
        return tls
    }

    /// The paths whose content differs between two configurations.
    func changed(from old: TLSConfiguration, to new: TLSConfiguration) -> [String] {
        var files = self
        if old.certificateAuthorities == new.certificateAuthorities { files.certificateAuthorities = nil }
        if old.clientCertificate == new.clientCertificate { files.clientCertificate = nil }
        return files.paths
    }
}
