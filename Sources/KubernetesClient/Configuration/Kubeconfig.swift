// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

/// A kubeconfig file with its contexts, clusters and users, or several files that are merged.
///
/// Only the entries of the chosen context are checked, as in client-go: an invalid entry of another cluster does no
/// harm. Source: [kubeconfig (v1)](https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/).
package struct Kubeconfig {
    /// In bytes: enough for hundreds of clusters with their certificates.
    static let maximumSize = 4 << 20

    /// The first file that has a context, a cluster, a user or the current context decides.
    private let roots: [KubeconfigEntry]

    init(contentsOf path: String) throws(KubernetesConfigurationError) {
        try self.init(text: contents(ofFile: path, limit: Self.maximumSize), path: path)
    }

    /// Merges files as client-go does: of entries with the same name, the one of the first file counts. Empty files are
    /// skipped; nil if all are empty.
    ///
    /// Source: client-go, tools/clientcmd/loader.go, `Load`.
    init?(merging paths: [String]) throws(KubernetesConfigurationError) {
        var roots: [KubeconfigEntry] = []
        for path in paths {
            let text = try contents(ofFile: path, limit: Self.maximumSize)
            if !text.isEmpty { roots += try Kubeconfig(text: text, path: path).roots }
        }
        guard !roots.isEmpty else { return nil }
        self.roots = roots
    }

    /// - Parameters:
    ///   - path: for error messages, and as the base of relative paths in the file.
    ///   - readFile: reads the files that the kubeconfig refers to.
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
                message: "\(path):\(error.line): the kubeconfig is not valid YAML: \(error.message)"
            )
        }
        try self.init(node: node, path: path, readFile: readFile)
    }

    /// A parsed kubeconfig.
    package init(
        node: YAMLNode,
        path: String,
        readFile: @escaping FileReader
    ) throws(KubernetesConfigurationError) {
        let root = KubeconfigEntry(node: node, key: "", file: path, readFile: readFile)
        guard case .mapping = node.content else {
            throw root.error(.malformed, "not a kubeconfig: expected an object with clusters, contexts and users")
        }
        roots = [root]
    }

    /// The configuration of a context. The files that it refers to are read now, and named in the result, to be read
    /// again.
    ///
    /// - Parameters:
    ///   - context: its name; nil for the current context.
    ///   - environment: names the proxy if the context does not, see ``ProxySettings``.
    package func configuration(
        context name: String? = nil,
        environment: [String: String] = [:]
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        let name = if let name { name } else { try currentContext() }
        let context = try named(name, in: "contexts", as: "context")
        guard let clusterName = try context.string("cluster") else {
            throw context.error(.missing, "cluster is missing")
        }
        let cluster = try named(clusterName, in: "clusters", as: "cluster")
        let server = try cluster.server()
        let tls = try cluster.tls()
        var configuration = KubernetesConfiguration(
            server: server,
            tls: tls,
            defaultNamespace: try context.string("namespace") ?? "default"
        )
        // As in client-go, NO_PROXY does not apply to proxy-url.
        if let proxy = try cluster.proxy() {
            configuration.proxy = proxy
        } else {
            try configuration.setProxy(environment: environment)
        }
        configuration.skippedAuthorities = cluster.skippedAuthorities(tls)
        configuration.tlsFiles.certificateAuthorities = try cluster.dataFile("certificate-authority")
        // As in client-go, credentials are not sent without TLS.
        if server.hasPrefix("https://"), let userName = try context.string("user") {
            let user = try named(userName, in: "users", as: "user")
            try user.rejectUnsupportedCredentials(user: userName)
            configuration.tls.clientCertificate = try user.clientCertificate()
            configuration.tlsFiles.clientCertificate = try user.clientCertificateFiles()
            configuration.credentials = try user.credentials()
            // As in client-go, other credentials take precedence over a plugin: UpdateTransportConfig in exec.go.
            if case .none = configuration.credentials, configuration.tls.clientCertificate == nil,
                let plugin = try user.execPlugin(cluster: cluster, tls: configuration.tls)
            {
                configuration.credentials = .exec(ExecAuthenticator(plugin))
            }
        }
        return configuration
    }

    private func currentContext() throws(KubernetesConfigurationError) -> String {
        for root in roots {
            if let name = try root.string("current-context") { return name }
        }
        throw roots[0].error(.missing, "no context is chosen: set current-context (kubectl config use-context NAME)")
    }

    /// The entry of the first file that has it.
    private func named(
        _ name: String,
        in list: String,
        as kind: String
    ) throws(KubernetesConfigurationError) -> KubeconfigEntry {
        for root in roots.dropLast() {
            do throws(KubernetesConfigurationError) {
                return try root.named(name, in: list, as: kind)
            } catch  where error.code == .missing {
                continue
            }
        }
        return try roots[roots.count - 1].named(name, in: list, as: kind)
    }
}

extension KubernetesConfiguration {
    /// Reads the current context of a kubeconfig.
    ///
    /// Supported are a cluster's `server`, `certificate-authority`, `certificate-authority-data`, `tls-server-name`,
    /// `insecure-skip-tls-verify` and `proxy-url`, and a user's `token`, `tokenFile`, `client-certificate`,
    /// `client-key` and their `-data`, and `exec`. Relative paths are relative to the file's directory. If the server's
    /// URL is not https, no credentials are sent.
    ///
    /// - Parameters:
    ///   - path: a file in YAML or JSON. Its `current-context` is used.
    ///   - environment: the process's environment: without a `proxy-url`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
    ///     apply.
    /// - Throws: ``KubernetesConfigurationError``: the file cannot be read, has no current context, or its user
    ///   authenticates in an unsupported way (auth-provider, username and password, impersonation, a plugin that needs
    ///   a terminal).
    package static func load(
        kubeconfig path: String,
        environment: [String: String] = [:]
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        try Kubeconfig(contentsOf: path).configuration(environment: environment)
    }
}
