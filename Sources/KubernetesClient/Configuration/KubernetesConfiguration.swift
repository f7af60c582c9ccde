// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

public import HTTPTransport

/// Where the API server is, how to trust it and how to be trusted by it.
public struct KubernetesConfiguration: Sendable, CustomStringConvertible {
    /// What is shown to the API server beside a client certificate, which is part of ``tls``.
    public enum Credentials: Sendable, CustomStringConvertible {
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
        public var description: String {
            switch self {
            case .none: "none"
            case .token: "token"
            case .tokenFile(let path): "tokenFile(\(path))"
            case .exec(let credentials): "exec(\(credentials.plugin.command))"
            }
        }
    }

    /// `https://HOST[:PORT][/PREFIX]`, without a slash at the end.
    public var server: String
    /// Whom to trust and which certificate to show.
    public var tls: TLSConfiguration
    /// Which files ``tls`` comes from. They are read again every minute, and when the server refuses a connection or a
    /// request, or is not trusted; connections that are made after that use what they hold then.
    package var tlsFiles = TLSFiles()
    /// The bearer token, if any.
    public var credentials: Credentials
    /// A proxy's URL; nil: as `HTTPS_PROXY` and `NO_PROXY` say.
    public var proxy: String?
    /// The namespace to use where none is given: the pod's own, or the context's.
    public var defaultNamespace: String

    /// Describes a server. The other ways to get here are ``inCluster(environment:serviceAccountDirectory:)`` and
    /// ``load(kubeconfig:context:)``.
    public init(
        server: String,
        tls: TLSConfiguration = TLSConfiguration(),
        credentials: Credentials = .none,
        proxy: String? = nil,
        defaultNamespace: String = "default"
    ) {
        self.server = server
        self.tls = tls
        self.credentials = credentials
        self.proxy = proxy
        self.defaultNamespace = defaultNamespace
    }

    /// The server alone: nothing secret.
    public var description: String { server }
}
