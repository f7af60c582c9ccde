// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

/// A kubeconfig file: what its format names contexts, clusters and users.
///
/// Only what a context needs is looked at, as client-go does, so a broken entry for another cluster does not hurt.
/// Source: [kubeconfig (v1)](https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/).
package struct Kubeconfig {
    /// A file with hundreds of clusters and their certificates stays below.
    static let maximumSize = 4 << 20

    private let root: KubeconfigEntry

    init(contentsOf path: String) throws(KubernetesConfigurationError) {
        try self.init(text: contents(ofFile: path, limit: Self.maximumSize), path: path)
    }

    /// - Parameters:
    ///   - path: for messages, and what relative paths in the file are relative to.
    ///   - readFile: for files that it names.
    package init(
        text: [UInt8],
        path: String,
        readFile: @escaping FileReader = contents(ofFile:limit:)
    ) throws(KubernetesConfigurationError) {
        let node: YAMLNode
        do {
            node = try YAMLParser.parse(text)
        } catch {
            throw KubernetesConfigurationError(
                code: .malformed,
                message: "\(path):\(error.line): the kubeconfig is no valid YAML: \(error.message)"
            )
        }
        try self.init(node: node, path: path, readFile: readFile)
    }

    /// A kubeconfig that was parsed.
    package init(
        node: YAMLNode,
        path: String,
        readFile: @escaping FileReader
    ) throws(KubernetesConfigurationError) {
        root = KubeconfigEntry(node: node, key: "", file: path, readFile: readFile)
        guard case .mapping = node.content else {
            throw root.error(.malformed, "a kubeconfig is expected: an object with clusters, contexts and users")
        }
    }

    /// Everything that a context says. Files that it names are read now, and named in the result to be read again.
    ///
    /// - Parameters:
    ///   - name: the context; nil takes the file's current-context.
    ///   - environment: names a proxy where the context does not, see ``ProxySettings``.
    package func configuration(
        context name: String?,
        environment: [String: String] = [:]
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        let current = try root.string("current-context")
        guard let name = name ?? current, !name.isEmpty else {
            throw root.error(
                .missing,
                "no context is chosen: name one, or set current-context (kubectl config use-context NAME)"
            )
        }
        let context = try root.named(name, in: "contexts", as: "context")
        guard let clusterName = try context.string("cluster") else {
            throw context.error(.missing, "no cluster is named")
        }
        let cluster = try root.named(clusterName, in: "clusters", as: "cluster")
        let server = try cluster.server()
        let tls = try cluster.tls()
        var configuration = KubernetesConfiguration(
            server: server,
            tls: tls,
            defaultNamespace: try context.string("namespace") ?? "default"
        )
        // As in client-go, it is used whatever NO_PROXY says.
        if let proxy = try cluster.proxy() {
            configuration.proxy = proxy
        } else {
            try configuration.setProxy(environment: environment)
        }
        configuration.skippedAuthorities = cluster.skippedAuthorities(tls)
        configuration.tlsFiles.certificateAuthorities = try cluster.dataFile("certificate-authority")
        // As in client-go, what identifies a user is not sent without TLS.
        if server.hasPrefix("https://"), let userName = try context.string("user") {
            let user = try root.named(userName, in: "users", as: "user")
            try user.refuseUnsupportedCredentials(user: userName)
            configuration.tls.clientCertificate = try user.clientCertificate()
            configuration.tlsFiles.clientCertificate = try user.clientCertificateFiles()
            configuration.credentials = try user.credentials()
            // As in client-go, other credentials come before those of a plugin: UpdateTransportConfig in exec.go.
            if case .none = configuration.credentials, configuration.tls.clientCertificate == nil,
                let plugin = try user.execPlugin(cluster: cluster, tls: configuration.tls)
            {
                configuration.credentials = .exec(ExecCredentials(plugin))
            }
        }
        return configuration
    }
}

extension KubernetesConfiguration {
    /// The API server of a kubeconfig's context.
    ///
    /// Understood are a cluster's `server`, `certificate-authority`, `certificate-authority-data`,
    /// `insecure-skip-tls-verify` and `proxy-url`, and a user's `token`, `tokenFile`,
    /// `client-certificate`, `client-key` and their `-data`, and `exec`. Relative paths are relative to the file's folder. Where
    /// the server's URL is not https, nothing of the user is sent.
    ///
    /// - Parameters:
    ///   - path: a file in YAML or JSON.
    ///   - context: the name of a context; nil takes the file's `current-context`.
    ///   - environment: the process's: without a `proxy-url`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are read.
    /// - Throws: ``KubernetesConfigurationError``: the file cannot be read, has no such context, or names a user who
    ///   authenticates in a way that is not supported here (auth-provider, username and password, impersonation, a plugin
    ///   that asks at a terminal).
    package static func load(
        kubeconfig path: String,
        context: String? = nil,
        environment: [String: String] = [:]
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        try Kubeconfig(contentsOf: path).configuration(context: context, environment: environment)
    }
}
