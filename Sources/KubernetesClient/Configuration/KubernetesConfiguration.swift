// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HTTPTransport
package import Logging

/// The address of an API server, how to verify it and how to authenticate to it.
package struct KubernetesConfiguration: Sendable, CustomStringConvertible {
    /// How requests authenticate, apart from a client certificate, which is part of ``tls``.
    package enum Credentials: Sendable, CustomStringConvertible {
        /// Anonymous, or by a client certificate alone.
        case none
        /// A bearer token.
        case token(String)
        /// A bearer token in a file that another program, such as the kubelet, renews. It is read again every minute,
        /// and when the server rejects the token.
        case tokenFile(path: String)
        /// The output of a credential plugin: a bearer token, a client certificate, or both.
        case exec(ExecAuthenticator)

        /// Contains no secret.
        package var description: String {
            switch self {
            case .none: "none"
            case .token: "token"
            case .tokenFile(let path): "tokenFile(\(path))"
            case .exec(let authenticator): "exec(\(authenticator.plugin.command))"
            }
        }
    }

    /// `https://HOST[:PORT][/PREFIX]`, without a trailing slash.
    package var server: String
    package var tls: TLSConfiguration
    /// The files from which ``tls`` was read. They are read again every minute, when the server rejects a connection or
    /// a request, and when the server's certificate is not trusted. New connections use their current content.
    package var tlsFiles = TLSFiles()
    package var credentials: Credentials
    /// From the kubeconfig's `proxy-url`, or else from the environment; nil for a direct connection.
    package var proxy: ProxyURL?
    /// The pod's own namespace, or the context's.
    package var defaultNamespace: String
    /// nil if all certificate authorities are readable.
    package var skippedAuthorities: SkippedAuthorities?

    /// A server without a proxy. See also ``inCluster(environment:serviceAccountDirectory:)`` and
    /// ``load(kubeconfig:environment:)``.
    package init(
        server: String,
        tls: TLSConfiguration = TLSConfiguration(),
        credentials: Credentials = .none,
        defaultNamespace: String = "default"
    ) {
        self.server = server
        self.tls = tls
        self.credentials = credentials
        self.defaultNamespace = defaultNamespace
    }

    /// The server's URL without user information: contains no secret.
    package var description: String { URLAuthority.withoutUserInfo(server) }
}

extension KubernetesConfiguration {
    /// Certificates in a bundle of authorities that are skipped as unreadable; client-go skips them without a log line.
    package struct SkippedAuthorities: Sendable, Hashable {
        /// The file, or the line and key of the kubeconfig.
        package var source: String
        /// The positions of the skipped certificates in the bundle, counted from 1.
        package var numbers: [Int]
        /// How many certificates are readable.
        package var readable: Int

        /// nil if all certificates are readable.
        init?(_ tls: TLSConfiguration, source: String) {
            guard let authorities = tls.certificateAuthorities else { return nil }
            let bundle = CertificateBundle(pem: authorities)
            guard !bundle.skipped.isEmpty else { return nil }
            self.source = source
            numbers = bundle.skipped
            readable = bundle.count
        }

        func log(to logger: Logger) {
            logger.warning(
                "Skipped unreadable certificate authorities",
                metadata: [
                    "source": "\(source)", "skipped": .stringConvertible(numbers.count),
                    "certificates": "\(numbers.map(String.init).joined(separator: ","))",
                    "readable": .stringConvertible(readable),
                ]
            )
        }
    }

    /// Logs problems that do not prevent the use of the configuration.
    package func logWarnings(to logger: Logger) {
        skippedAuthorities?.log(to: logger)
    }
}

extension KubernetesConfiguration {
    /// Uses the proxy that the environment names for the server.
    ///
    /// - Throws: `invalid` if the proxy's URL is not usable.
    mutating func setProxy(environment: [String: String]) throws(KubernetesConfigurationError) {
        do throws(ProxyURL.Invalid) {
            proxy = try ProxySettings(environment: environment).proxy(for: server)
        } catch {
            throw KubernetesConfigurationError(code: .invalid, message: error.message)
        }
    }
}
