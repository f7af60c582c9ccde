// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

extension KubernetesConfiguration {
    /// The environment variables that are read, here or with a kubeconfig.
    package static let variables =
        ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"] + ProxySettings.variables

    /// The API server of the cluster in which this process runs as a pod, with the pod's service account.
    ///
    /// Source: [Accessing the Kubernetes API from a
    /// Pod](https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
    ///
    /// - Parameters:
    ///   - environment: the process's environment, with `KUBERNETES_SERVICE_HOST` (a name, an IPv4 or an IPv6 address),
    ///     `KUBERNETES_SERVICE_PORT` and the variables of a proxy.
    ///   - serviceAccountDirectory: contains the files `token`, `ca.crt` and, optionally, `namespace`.
    /// - Throws: `notInCluster` without those two variables, `unreadableFile` without those files, `invalid` if the
    ///   token, the certificate authorities or the proxy cannot be used.
    package static func inCluster(
        environment: [String: String],
        serviceAccountDirectory: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw KubernetesConfigurationError(
                code: .notInCluster,
                message: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not running in a pod; "
                    + "outside of a cluster set a kubeconfig"
            )
        }
        let tokenFile = "\(serviceAccountDirectory)/token"
        // Read now, so that a pod without a service account fails at its start.
        _ = try bearerToken(inFile: tokenFile)
        var tls = TLSConfiguration()
        let authorityFile = "\(serviceAccountDirectory)/ca.crt"
        let authorities = try contents(ofFile: authorityFile, limit: Kubeconfig.maximumSize)
        guard CertificateBundle(pem: authorities).count > 0 else {
            throw KubernetesConfigurationError(
                code: .invalid,
                message: "\(authorityFile): no readable certificate: expected PEM"
            )
        }
        tls.certificateAuthorities = authorities
        var configuration = KubernetesConfiguration(
            server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)",
            tls: tls,
            credentials: .tokenFile(path: tokenFile),
            defaultNamespace: namespace(inFile: "\(serviceAccountDirectory)/namespace") ?? "default"
        )
        configuration.skippedAuthorities = SkippedAuthorities(tls, source: authorityFile)
        try configuration.setProxy(environment: environment)
        configuration.tlsFiles.certificateAuthorities = authorityFile
        return configuration
    }

    private static func namespace(inFile path: String) -> String? {
        guard let bytes = try? contents(ofFile: path, limit: 1024) else { return nil }
        let name = trimmed(String(decoding: bytes, as: UTF8.self))
        return name.isEmpty ? nil : name
    }
}

/// The token in a file, without white space around it.
func bearerToken(
    inFile path: String,
    readFile: FileReader = contents(ofFile:limit:)
) throws(KubernetesConfigurationError) -> String {
    let token = trimmed(String(decoding: try readFile(path, 65_536), as: UTF8.self))
    guard !token.isEmpty else {
        throw KubernetesConfigurationError(code: .invalid, message: "\(path) is empty: expected a bearer token")
    }
    guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        throw KubernetesConfigurationError(
            code: .invalid,
            message: "\(path) contains characters that are invalid in a bearer token: is it the right file?"
        )
    }
    return token
}

private func trimmed(_ text: String) -> String {
    let start = text.drop { $0.isWhitespace }
    guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(start[...last])
}
