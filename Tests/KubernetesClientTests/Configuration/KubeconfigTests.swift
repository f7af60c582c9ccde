// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Testing

@testable import KubernetesClient

@Suite struct KubeconfigTests {
    /// A kubeconfig with one cluster, one user and one context, which is current.
    private func text(cluster: String = "server: https://api.example:6443", user: String = "token: secret") -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: main
        contexts:
        - name: main
          context: {cluster: east, user: admin, namespace: storage}
        clusters:
        - name: east
          cluster: {\(cluster)}
        users:
        - name: admin
          user: {\(user)}
        """
    }

    private func load(_ text: String, path: String = "config") throws -> KubernetesConfiguration {
        try Kubeconfig(text: Array(text.utf8), path: path).configuration()
    }

    private func token(_ configuration: KubernetesConfiguration) -> String? {
        if case .token(let token) = configuration.credentials { token } else { nil }
    }

    @Test func `the current context is used`() throws {
        let configuration = try load(
            text(cluster: "server: 'https://api.example:6443/', proxy-url: 'http://proxy:3128'")
        )
        #expect(configuration.server == "https://api.example:6443")
        #expect(configuration.proxy?.description == "http://proxy:3128")
        #expect(configuration.defaultNamespace == "storage")
        #expect(token(configuration) == "secret")
        #expect("\(configuration) \(configuration.credentials)" == "https://api.example:6443 token")
        #expect(configuration.tls.verifiesServer)
        #expect(configuration.tls.certificateAuthorities == nil)
        #expect(configuration.tls.serverName == nil)
    }

    @Test func `the configuration names the files of certificates and keys`() async throws {
        try await withTemporaryDirectory { directory in
            let authority = try TestCertificateAuthority()
            let client = try authority.issueClient(commonName: "monitor")
            try write(authority.certificatePEM, to: "\(directory)/ca.crt")
            try write(client.certificatePEM, to: "\(directory)/client.crt")
            try write(client.privateKeyPEM, to: "\(directory)/client.key")
            let cluster = "server: https://api.example, certificate-authority: ca.crt"
            let user = "client-certificate: \(directory)/client.crt, client-key: client.key"
            var files = try load(text(cluster: cluster, user: user), path: "\(directory)/config").tlsFiles
            let pair = TLSFiles.ClientCertificate(
                certificate: "\(directory)/client.crt",
                privateKey: "\(directory)/client.key"
            )
            #expect(files == TLSFiles(certificateAuthorities: "\(directory)/ca.crt", clientCertificate: pair))
            // Inline data takes precedence, and certificate and key are read again only if both come from files.
            let data =
                "server: https://api.example, certificate-authority: ca.crt, certificate-authority-data: "
                + base64(authority.certificatePEM)
            let half = "client-certificate: client.crt, client-key-data: \(base64(client.privateKeyPEM))"
            files = try load(text(cluster: data, user: half), path: "\(directory)/config").tlsFiles
            #expect(files == TLSFiles())
        }
    }

    private func plugin(
        _ exec: String,
        cluster: String = "server: https://api.example",
        path: String = "config"
    ) throws
        -> ExecPlugin?
    {
        let configuration = try load(text(cluster: cluster, user: "exec: {\(exec)}"), path: path)
        guard case .exec(let credentials) = configuration.credentials else { return nil }
        return credentials.plugin
    }

    private static let v1 = "apiVersion: client.authentication.k8s.io/v1"

    @Test func `a credential plugin is configured`() throws {
        let exec = """
            \(Self.v1), interactiveMode: Never, command: aws, args: [eks, get-token, "1"],
            env: [{name: A, value: b}, {name: C, value: ""}], installHint: see example.org
            """
        let plugin = try plugin(exec)
        #expect(
            plugin
                == ExecPlugin(
                    apiVersion: "client.authentication.k8s.io/v1",
                    command: "aws",
                    arguments: ["eks", "get-token", "1"],
                    environment: ["A": "b", "C": ""],
                    installHint: "see example.org",
                    info: #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","#
                        + #""spec":{"interactive":false}}"#
                )
        )
    }

    @Test(arguments: [
        ("aws", "aws"), ("bin/aws", "/home/me/.kube/bin/aws"), ("./aws", "/home/me/.kube/./aws"),
        ("/usr/bin/aws", "/usr/bin/aws"),
    ])
    func `a plugin's path is relative to the kubeconfig, a name is not`(_ command: String, path: String) throws {
        let exec = "apiVersion: client.authentication.k8s.io/v1beta1, command: \(command)"
        #expect(try plugin(exec, path: "/home/me/.kube/config")?.command == path)
    }

    @Test func `a plugin gets the cluster if provideClusterInfo is set`() throws {
        let authority = base64(try TestCertificateAuthority().certificatePEM)
        let cluster = """
            server: https://api.example/, tls-server-name: name.example, certificate-authority-data: \(authority),
            proxy-url: http://proxy, disable-compression: true,
            extensions: [{name: other, extension: 1}, {name: client.authentication.k8s.io/exec,
            extension: {audience: "06", on: true, list: [1, 2.5, ~, -x]}}]
            """
        let exec = "\(Self.v1), interactiveMode: IfAvailable, command: aws, provideClusterInfo: true"
        let info = try #require(try plugin(exec, cluster: cluster)?.info)
        #expect(
            info == #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"cluster":{"#
                + #""certificate-authority-data":"\#(authority)","config":{"audience":"06","list":[1,2.5,null,"-x"],"on":true},"#
                + #""disable-compression":true,"proxy-url":"http://proxy","server":"https://api.example","#
                + #""tls-server-name":"name.example"},"interactive":false}}"#
        )
    }

    @Test(arguments: [
        ("command: aws", "apiVersion is missing"),
        ("apiVersion: client.authentication.k8s.io/v1alpha1, command: aws", "v1beta1"),
        ("\(v1), command: aws", "interactiveMode is missing"),
        ("\(v1), interactiveMode: Always, command: aws", "terminal"),
        ("\(v1), interactiveMode: Maybe, command: aws", "IfAvailable"),
        ("\(v1), interactiveMode: Never", "command is missing"),
        ("\(v1), interactiveMode: Never, command: a, args: b", "a list"),
        ("\(v1), interactiveMode: Never, command: a, args: [{}]", "expected a string"),
        ("\(v1), interactiveMode: Never, command: a, env: [{value: b}]", "name is missing"),
        ("\(v1), interactiveMode: Never, command: a, env: [{name: 'a=b'}]", "must not contain ="),
    ])
    func `a plugin that cannot be run is rejected`(_ exec: String, reason: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try plugin(exec) }
        #expect(error?.message.contains(reason) == true, "\(error as Any)")
        #expect(error?.message.hasPrefix("config:") == true)
    }

    @Test func `other credentials take precedence over a plugin`() throws {
        let exec = "exec: {\(Self.v1), interactiveMode: Never, command: aws}"
        #expect(token(try load(text(user: "token: secret, \(exec)"))) == "secret")
        let client = try TestCertificateAuthority().issueClient(commonName: "monitor")
        let certificate =
            "client-certificate-data: \(base64(client.certificatePEM)), client-key-data: \(base64(client.privateKeyPEM))"
        guard case .none = try load(text(user: "\(certificate), \(exec)")).credentials else {
            Issue.record("a plugin beside a certificate")
            return
        }
        // As all credentials.
        guard case .none = try load(text(cluster: "server: http://api.example", user: exec)).credentials else {
            Issue.record("a plugin without TLS")
            return
        }
    }

    @Test func `tls-server-name is the name in the server's certificate`() throws {
        let configuration = try load(text(cluster: "server: https://10.0.0.1, tls-server-name: api.example"))
        #expect(configuration.server == "https://10.0.0.1")
        #expect(configuration.tls.serverName == "api.example")
    }

    @Test func `entries of other contexts are not checked`() throws {
        let text = """
            current-context: b
            contexts: [{name: a, context: {cluster: a}}, {name: b, context: {cluster: b, user: ""}}]
            clusters: [{name: a, cluster: {server: "ftp://broken"}}, {name: b, cluster: {server: "https://b"}}]
            """
        let configuration = try load(text)
        #expect(configuration.server == "https://b")
        #expect(configuration.defaultNamespace == "default")
        guard case .none = configuration.credentials else {
            Issue.record("credentials without a user")
            return
        }
    }

    @Test func `certificates and keys can be inline in base64`() throws {
        let authority = try TestCertificateAuthority()
        let user = try authority.issueClient(commonName: "admin")
        // YAML may fold a long string.
        var folded = base64(user.certificatePEM)
        folded.insert(" ", at: folded.index(folded.startIndex, offsetBy: 40))
        let configuration = try load(
            text(
                cluster: "server: https://x, certificate-authority-data: \(base64(authority.certificatePEM))",
                user: "client-certificate-data: \(folded), client-key-data: \(base64(user.privateKeyPEM))"
            )
        )
        #expect(configuration.tls.certificateAuthorities == Array(authority.certificatePEM.utf8))
        #expect(configuration.tls.clientCertificate?.certificate == Array(user.certificatePEM.utf8))
        #expect(configuration.tls.clientCertificate?.privateKey == Array(user.privateKeyPEM.utf8))
        #expect(configuration.skippedAuthorities == nil)
    }

    private func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    @Test func `unreadable certificate authorities are skipped, and a warning names them`() throws {
        let broken = "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n"
        let bundle = base64(broken + (try TestCertificateAuthority().certificatePEM) + "\n" + broken)
        let configuration = try load(text(cluster: "server: https://x, certificate-authority-data: \(bundle)"))
        let handler = InMemoryLogHandler()
        configuration.logWarnings(to: Logger(label: "test") { _ in handler })
        let entry = try #require(handler.entries.first)
        #expect(handler.entries.count == 1)
        #expect(entry.level == .warning)
        #expect(entry.metadata["source"] == #"config:9: clusters["east"].cluster.certificate-authority-data"#)
        #expect(entry.metadata["certificates"] == "1,3")
        #expect(entry.metadata["skipped"] == .stringConvertible(2))
        #expect(entry.metadata["readable"] == .stringConvertible(1))
    }

    @Test func `the error for an unusable key names its place, in the kubeconfig or in a file`() async throws {
        let user = try TestCertificateAuthority().issueClient(commonName: "admin")
        let certificate = "client-certificate-data: \(base64(user.certificatePEM))"
        var error = #expect(throws: KubernetesConfigurationError.self) {
            try load(text(user: "\(certificate), client-key-data: \(base64("garbage"))"))
        }
        #expect(error?.code == .invalid)
        #expect(error?.message == #"config:12: users["admin"].user.client-key-data: there is no private key in PEM"#)
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END ENCRYPTED PRIVATE KEY-----\n"
        try await withTemporaryDirectory { directory in
            try write(encrypted, to: "\(directory)/key.pem")
            try write(text(user: "\(certificate), client-key: key.pem"), to: "\(directory)/config")
            error = #expect(throws: KubernetesConfigurationError.self) {
                try KubernetesConfiguration.load(kubeconfig: "\(directory)/config")
            }
        }
        #expect(error?.message.contains(#":12: users["admin"].user.client-key: the private key is encrypted"#) == true)
    }

    @Test func `paths are relative to the kubeconfig's directory`() async throws {
        try await withTemporaryDirectory { directory in
            let authority = try TestCertificateAuthority().certificatePEM
            try write(authority, to: "\(directory)/ca.pem")
            try write("token\n", to: "\(directory)/token")
            try write(
                text(
                    cluster: "server: https://x, certificate-authority: ca.pem",
                    user: "token: stale, tokenFile: \(directory)/token"
                ),
                to: "\(directory)/config"
            )
            let configuration = try KubernetesConfiguration.load(kubeconfig: "\(directory)/config")
            #expect(configuration.tls.certificateAuthorities == Array(authority.utf8))
            guard case .tokenFile(let path) = configuration.credentials else {
                Issue.record("the file does not win over the token")
                return
            }
            #expect(path == "\(directory)/token")
        }
    }

    @Test func `without TLS no credentials are sent`() throws {
        let configuration = try load(text(cluster: "server: http://127.0.0.1:8001"))
        #expect(token(configuration) == nil)
    }

    @Test func `insecure-skip-tls-verify turns off verification`() throws {
        let configuration = try load(text(cluster: "server: https://x, insecure-skip-tls-verify: true"))
        #expect(!configuration.tls.verifiesServer)
    }

    @Test(arguments: [
        ("auth-provider: {name: gcp}", "auth-provider"),
        ("username: u, password: p", "user name and a password"), ("as: somebody", "impersonation"),
    ])
    func `unsupported credentials are an error that names the user`(_ user: String, mentions: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try load(text(user: user)) }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains(#"user "admin""#) == true)
        #expect(error?.message.contains(mentions) == true)
        #expect(error?.message.hasPrefix("config:12: users[\"admin\"].user.") == true)
    }

    @Test(arguments: [
        ("server: api.example", #"config:9: clusters["east"].cluster.server: expected a URL"#),
        ("server: 'https://'", "https:// or http:// and a host"),
        ("server: 'http://:8080'", "https:// or http:// and a host"),
        ("proxy-url: x", #"config:9: clusters["east"].cluster: server is missing"#),
        ("server: [x]", #"clusters["east"].cluster.server: expected a string"#),
        ("server: 'https://x:port'", "https:// or http:// and a host"),
        ("server: 'https://x/a b'", "https:// or http:// and a host"),
        (
            "server: https://x, proxy-url: 'ftp://u:hunter2@x'",
            #"config:9: clusters["east"].cluster.proxy-url: the scheme ftp is not supported"#
        ),
        ("server: https://x, insecure-skip-tls-verify: yes please", "true or false"),
        ("server: https://x, insecure-skip-tls-verify: true, certificate-authority-data: Q0E=", "contradicts"),
        ("server: https://x, tls-server-name: 'a/b'", "tls-server-name: expected a host name"),
        ("server: https://x, certificate-authority-data: '*'", "certificate-authority-data: expected base64"),
        (
            "server: https://x, certificate-authority-data: Q0E=",
            #"config:9: clusters["east"].cluster.certificate-authority-data: no readable certificate"#
        ),
        ("server: https://x, certificate-authority: /nowhere/ca", "cannot read /nowhere/ca: No such file"),
    ])
    func `an invalid cluster is an error that names the field`(_ cluster: String, mentions: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try load(text(cluster: cluster)) }
        #expect(error?.message.contains(mentions) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("client-certificate-data: Q0E=, client-key-data: Q0E=", "client-certificate-data: there is no certificate"),
        ("client-certificate-data: Q0E=", "needs a client-key"),
        ("client-key-data: Q0E=", "needs a client-certificate"),
        ("token: \"hunter2\\nX-Evil: 1\"", "characters that are invalid in a bearer token"),
    ])
    func `the error for an invalid user contains no secret`(_ user: String, mentions: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try load(text(user: user)) }
        #expect(error?.message.contains(mentions) == true, "\(String(describing: error))")
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test(arguments: [
        ("a: [", "config:2: the kubeconfig is not valid YAML"), ("", "config:1: not a kubeconfig"),
        ("clusters: []", "no context is chosen"), ("current-context: x", #"context "x" does not exist"#),
        ("current-context: x\ncontexts: 5", "config:2: contexts: expected a list"),
        ("current-context: x\ncontexts: [{name: x}]", #"contexts["x"]: context is missing"#),
        ("current-context: x\ncontexts: [{name: x, context: {user: u}}]", "cluster is missing"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: []",
            #"config:3: clusters: cluster "c" does not exist"#
        ),
    ])
    func `an invalid file is an error that names line and field`(_ text: String, mentions: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try load(text) }
        #expect(error?.message.contains(mentions) == true, "\(String(describing: error))")
    }

    @Test func `proxy-url takes precedence over the environment`() throws {
        func proxy(_ cluster: String, _ environment: [String: String]) throws -> String? {
            try Kubeconfig(text: Array(text(cluster: cluster).utf8), path: "config")
                .configuration(environment: environment).proxy?.description
        }
        let environment = ["HTTPS_PROXY": "http://environment", "NO_PROXY": "api.example"]
        let proxied = "server: https://api.example, proxy-url: 'socks5://bastion'"
        #expect(try proxy(proxied, environment) == "socks5://bastion:1080")
        #expect(try proxy("server: https://api.example", environment) == nil)
        #expect(try proxy("server: https://other.example", environment) == "http://environment:80")
        #expect(try proxy("server: http://other.example", environment) == nil)
        let error = #expect(throws: KubernetesConfigurationError.self) {
            try proxy("server: https://api.example", ["HTTPS_PROXY": "u:hunter2@x:y"])
        }
        #expect(error?.message.hasPrefix("HTTPS_PROXY: a proxy's URL is expected") == true)
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test func `the description contains no user of the server's URL`() throws {
        let configuration = try load(text(cluster: "server: 'https://admin:hunter2@api.example:6443/prefix'"))
        #expect("\(configuration)" == "https://api.example:6443/prefix")
    }

    @Test func `an unreadable file is an error with the reason`() async throws {
        let error = #expect(throws: KubernetesConfigurationError.self) {
            try KubernetesConfiguration.load(kubeconfig: "/nowhere/config")
        }
        #expect(error?.code == .unreadableFile)
        #expect(error?.message == "cannot read /nowhere/config: No such file or directory")
        try await withTemporaryDirectory { directory in
            #expect(throws: KubernetesConfigurationError.self) {
                try KubernetesConfiguration.load(kubeconfig: directory)
            }
        }
    }

    @Test func `the file size is bounded`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/large"
            try write(String(repeating: "x", count: 20_000), to: path)
            #expect(try contents(ofFile: path, limit: 20_000).count == 20_000)
            #expect(throws: KubernetesConfigurationError.self) { try contents(ofFile: path, limit: 19_999) }
        }
    }
}
