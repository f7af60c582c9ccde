// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport

extension KubeconfigEntry {
    /// The user's credential plugin; nil if `exec` is not set.
    ///
    /// The required fields are those of client-go: `validateAuthInfo` in
    /// [tools/clientcmd/validation.go](https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/validation.go).
    /// Standard input is not available to plugins.
    func execPlugin(cluster: KubeconfigEntry, tls: TLSConfiguration) throws(KubernetesConfigurationError) -> ExecPlugin?
    {
        guard let exec = member("exec") else { return nil }
        guard case .mapping = exec.node.content else { throw exec.error(.malformed, "expected an object") }
        let versions = ExecPlugin.apiVersions.joined(separator: " or ")
        guard let apiVersion = try exec.string("apiVersion") else {
            throw exec.error(.missing, "apiVersion is missing: \(versions)")
        }
        guard ExecPlugin.apiVersions.contains(apiVersion) else {
            throw (exec.member("apiVersion") ?? exec).error(.unsupported, "expected \(versions)")
        }
        try exec.checkInteractiveMode(apiVersion: apiVersion)
        guard let name = try exec.string("command") else { throw exec.error(.missing, "command is missing") }
        // Only a path is relative to the kubeconfig, a name is not: loader.go, GetAuthInfoFileReferences.
        let command = name.contains("/") ? try exec.file("command") ?? name : name
        let info = ExecInfo(
            apiVersion: apiVersion,
            cluster: try exec.bool("provideClusterInfo") ? try cluster.execClusterInfo(tls) : nil
        )
        return ExecPlugin(
            apiVersion: apiVersion,
            command: command,
            arguments: try exec.strings("args"),
            environment: try exec.environment(),
            installHint: try exec.string("installHint"),
            info: info.json
        )
    }

    private func checkInteractiveMode(apiVersion: String) throws(KubernetesConfigurationError) {
        let mode = try string("interactiveMode")
        switch mode {
        case "Never", "IfAvailable": return
        // defaults.go: IfAvailable is the default of v1beta1; v1 has no default.
        case nil where apiVersion.hasSuffix("v1beta1"): return
        case nil: throw error(.missing, "interactiveMode is missing: Never, IfAvailable or Always")
        case "Always":
            throw (member("interactiveMode") ?? self).error(
                .unsupported,
                "a plugin that needs a terminal is not supported: use one with Never or IfAvailable"
            )
        default: throw (member("interactiveMode") ?? self).error(.invalid, "expected Never, IfAvailable or Always")
        }
    }

    private func strings(_ name: String) throws(KubernetesConfigurationError) -> [String] {
        var strings: [String] = []
        for item in try items(name) {
            guard case .scalar(let text, _) = item.node.content else {
                throw item.error(.malformed, "expected a string")
            }
            strings.append(text)
        }
        return strings
    }

    private func environment() throws(KubernetesConfigurationError) -> [String: String] {
        var environment: [String: String] = [:]
        for item in try items("env") {
            guard let name = try item.string("name") else { throw item.error(.missing, "name is missing") }
            // execve(2) takes NAME=VALUE.
            guard !name.contains(where: { $0 == "=" || $0 == "\0" }) else {
                throw item.error(.invalid, "the name of a variable must not contain =")
            }
            environment[name] = try item.string("value") ?? ""
        }
        return environment
    }

    /// The items of a list; empty if the list is not set.
    private func items(_ name: String) throws(KubernetesConfigurationError) -> [KubeconfigEntry] {
        guard let list = member(name) else { return [] }
        guard case .sequence(let items) = list.node.content else { throw list.error(.malformed, "expected a list") }
        return items.enumerated().map { index, item in
            KubeconfigEntry(node: item, key: "\(list.key)[\(index)]", file: file, readFile: readFile)
        }
    }

    /// Source: client-go, `ConfigToExecCluster` in rest/exec.go; for the extension, client_config.go.
    private func execClusterInfo(_ tls: TLSConfiguration) throws(KubernetesConfigurationError) -> ExecInfo.Cluster {
        var config: YAMLNode?
        for item in try items("extensions") where try item.string("name") == "client.authentication.k8s.io/exec" {
            config = item.member("extension")?.node
        }
        return ExecInfo.Cluster(
            server: try server(),
            tlsServerName: tls.serverName,
            insecureSkipTLSVerify: tls.verifiesServer ? nil : true,
            certificateAuthorityData: tls.certificateAuthorities.map { Data($0) },
            proxyURL: try string("proxy-url"),
            disableCompression: try bool("disable-compression") ? true : nil,
            config: config
        )
    }
}

/// The ExecCredential that a plugin gets in KUBERNETES_EXEC_INFO. Source: client-go,
/// `pkg/apis/clientauthentication/v1/types.go`.
private struct ExecInfo: Encodable {
    struct Cluster: Encodable {
        var server: String
        var tlsServerName: String?
        var insecureSkipTLSVerify: Bool?
        /// Encoded as base64.
        var certificateAuthorityData: Data?
        var proxyURL: String?
        var disableCompression: Bool?
        var config: YAMLNode?

        enum CodingKeys: String, CodingKey {
            case server, config
            case tlsServerName = "tls-server-name"
            case insecureSkipTLSVerify = "insecure-skip-tls-verify"
            case certificateAuthorityData = "certificate-authority-data"
            case proxyURL = "proxy-url"
            case disableCompression = "disable-compression"
        }
    }

    struct Spec: Encodable {
        var cluster: Cluster?
        var interactive = false
    }

    var kind = "ExecCredential"
    var apiVersion: String
    var spec: Spec

    init(apiVersion: String, cluster: Cluster?) {
        self.apiVersion = apiVersion
        spec = Spec(cluster: cluster)
    }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Cannot fail: numbers are finite, and keys are strings.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

/// JSON: plain scalars that look like a bool or a number are encoded as one.
extension YAMLNode: Encodable {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    package func encode(to encoder: any Encoder) throws {
        switch content {
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        case .scalar(let text, let isPlain):
            var container = encoder.singleValueContainer()
            if isPlain, let value = Bool(text) {
                try container.encode(value)
            } else if isPlain, let value = Int64(text) {
                try container.encode(value)
            } else if isPlain, text.first.map({ $0.isNumber || $0 == "-" }) ?? false, let value = Double(text),
                value.isFinite
            {
                try container.encode(value)
            } else {
                try container.encode(text)
            }
        case .sequence(let items):
            var container = encoder.unkeyedContainer()
            for item in items { try container.encode(item) }
        case .mapping(let members):
            var container = encoder.container(keyedBy: Key.self)
            for member in members { try container.encode(member.value, forKey: Key(member.key)) }
        }
    }
}
