// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HTTPTransport
package import Logging

/// Where the API server is, how to trust it and how to be trusted by it.
package struct KubernetesConfiguration: Sendable, CustomStringConvertible {
    /// What is shown to the API server beside a client certificate, which is part of ``tls``.
    package enum Credentials: Sendable, CustomStringConvertible {
        /// Nothing: anonymous, or a client certificate alone.
        case none
        /// A bearer token.
        case token(String)
        /// A bearer token in a file, which something else keeps fresh. It is read again every minute, and when the
        /// server refuses the token.
        case tokenFile(path: String)
        /// What a program prints: a bearer token, a client certificate, or both.
        case exec(ExecCredentials)

        /// What kind it is: nothing secret.
        package var description: String {
            switch self {
            case .none: "none"
            case .token: "token"
            case .tokenFile(let path): "tokenFile(\(path))"
            case .exec(let credentials): "exec(\(credentials.plugin.command))"
            }
        }
    }

    /// `https://HOST[:PORT][/PREFIX]`, without a slash at the end.
    package var server: String
    /// Whom to trust and which certificate to show.
    package var tls: TLSConfiguration
    /// Which files ``tls`` comes from. They are read again every minute, and when the server refuses a connection or a
    /// request, or is not trusted; connections that are made after that use what they hold then.
    package var tlsFiles = TLSFiles()
    /// The bearer token, if any.
    package var credentials: Credentials
    /// The proxy; nil: none. It was decided by the kubeconfig's `proxy-url` or else by the environment.
    package var proxy: ProxyURL?
    /// The namespace to use where none is given: the pod's own, or the context's.
    package var defaultNamespace: String

    /// Certificates of authorities that cannot be read; nil: all can.
    package var skippedAuthorities: SkippedAuthorities?

    /// Describes a server without a proxy. The other ways to get here are
    /// ``inCluster(environment:serviceAccountDirectory:)`` and ``load(kubeconfig:context:environment:)``.
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

    /// The server alone, without a user: nothing secret.
    package var description: String { URLAuthority.withoutUserInfo(server) }
}

extension KubernetesConfiguration {
    /// Certificates of a bundle of authorities that are passed over, as client-go does in silence.
    package struct SkippedAuthorities: Sendable, Hashable {
        /// The file, or the kubeconfig's line and key.
        package var source: String
        /// Which of the bundle's certificates, counted from 1.
        package var numbers: [Int]
        /// How many others there are.
        package var readable: Int

        /// - Returns: nil where there is nothing to skip.
        init?(_ tls: TLSConfiguration, source: String) {
            guard let authorities = tls.certificateAuthorities else { return nil }
            let bundle = CertificateBundle(pem: authorities)
            guard !bundle.skipped.isEmpty else { return nil }
            self.source = source
            numbers = bundle.skipped
            readable = bundle.count
        }
    }

    /// Logs what is suspect in the configuration, and does not keep it from being used.
    package func logWarnings(to logger: Logger) {
        guard let skipped = skippedAuthorities else { return }
        logger.warning(
            "Skipped certificate authorities that cannot be read",
            metadata: [
                "source": "\(skipped.source)", "skipped": .stringConvertible(skipped.numbers.count),
                "certificates": "\(skipped.numbers.map(String.init).joined(separator: ","))",
                "readable": .stringConvertible(skipped.readable),
            ]
        )
    }
}

extension KubernetesConfiguration {
    /// Takes the proxy that the environment names for the server.
    ///
    /// - Throws: `invalid` where it names one that cannot be used.
    mutating func setProxy(environment: [String: String]) throws(KubernetesConfigurationError) {
        do throws(ProxyURL.Invalid) {
            proxy = try ProxySettings(environment: environment).proxy(for: server)
        } catch {
            throw KubernetesConfigurationError(code: .invalid, message: error.message)
        }
    }
}
