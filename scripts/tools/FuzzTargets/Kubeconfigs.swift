// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import KubernetesClient

/// The input: a kubeconfig. The files that it names come from a small table, not from the file system.
///
/// An error names its position, and its message does not depend on a secret. An accepted configuration is usable:
/// libcurl accepts it, and OpenSSL accepts the certificates and the key.
enum Kubeconfigs {
    private static let path = "folder/config"
    private static let files = [
        "folder/ca.crt": "\(certificate)garbage\n\(certificate)", "folder/tls.crt": certificate, "folder/tls.key": key,
        "folder/token": "token\n", "folder/empty": "\n", "/token": "not a token\n",
    ]

    /// Made by openssl for this test only.
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBdTCCARugAwIBAgIUVDPyTEuVZOtpe15jsPibtr80FN8wCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjgyMjMzMjJaGA8yMTI2MTEwNDIyMzMy
        MlowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLZ0
        onyBbq3TyIFLu6Ah/bO4tEPZJc/YBZuoIPEPbhMGcawprQxh9Q9lk4l3yflZJi97
        8oUrhA51B0H8MsoCYRqjUzBRMB0GA1UdDgQWBBRmJRdHYDnF7Iaqq+Rhdj24QQo1
        QDAfBgNVHSMEGDAWgBRmJRdHYDnF7Iaqq+Rhdj24QQo1QDAPBgNVHRMBAf8EBTAD
        AQH/MAoGCCqGSM49BAMCA0gAMEUCIAeqYy6w8EBVfk0QTU4dw8/TBqb7xpuAgIJZ
        ZXghm/z9AiEAjyp6/n4RrSzq/LzBpsFbPzL5h2nMcP3rPMmxQzXSZpk=
        -----END CERTIFICATE-----

        """
    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAA9/CB+ZKU0adhyH
        64lFxYG7+Wg9Gy5ZKjUxf5sfwSyhRANCAAS2dKJ8gW6t08iBS7ugIf2zuLRD2SXP
        2AWbqCDxD24TBnGsKa0MYfUPZZOJd8n5WSYve/KFK4QOdQdB/DLKAmEa
        -----END PRIVATE KEY-----

        """

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        let text = input.rest()
        let node: YAMLNode
        do throws(YAMLError) {
            node = try YAMLParser.parse(text)
        } catch {
            return try require((1...lines(of: text)).contains(error.line), "an error is in line \(error.line)")
        }
        let result = configuration(node)
        switch result {
        case .success(let configuration): try check(configuration)
        case .failure(let error): try check(error, lines: lines(of: text))
        }
        try check(self.configuration(node.withOtherSecrets(isSecret: false)), differsOnlyInSecretsFrom: result)
    }

    private static func configuration(
        _ node: YAMLNode
    ) -> Result<KubernetesConfiguration, KubernetesConfigurationError> {
        Result { () throws(KubernetesConfigurationError) in
            try Kubeconfig(node: node, path: path, readFile: contents).configuration()
        }
    }

    private static func contents(
        ofFile path: String,
        limit: Int
    ) throws(KubernetesConfigurationError) -> [UInt8] {
        guard let contents = files[path], contents.utf8.count <= limit else {
            throw KubernetesConfigurationError(code: .unreadableFile, message: "cannot read \(path)")
        }
        return Array(contents.utf8)
    }

    /// An upper bound: YAML has several line breaks, and the end may count as a line.
    private static func lines(of text: [UInt8]) -> Int {
        let breaks = "\n\r\u{85}\u{2028}\u{2029}".unicodeScalars
        return String(decoding: text, as: UTF8.self).unicodeScalars.count { breaks.contains($0) } + 2
    }

    private static func check(_ configuration: KubernetesConfiguration) throws(InvariantViolation) {
        let isSecure = configuration.server.hasPrefix("https://")
        try require(isSecure || configuration.server.hasPrefix("http://"), "a server is \(configuration.server)")
        try require(!configuration.server.hasSuffix("/"), "a server ends with a slash: \(configuration.server)")
        try require(!configuration.defaultNamespace.isEmpty, "a namespace is empty")
        switch configuration.credentials {
        case .none: break
        case .token(let token):
            try require(
                !token.isEmpty && token.utf8.allSatisfy { (0x21...0x7E).contains($0) },
                "a token is not a valid header value"
            )
            try require(isSecure, "a token would be sent in the clear")
        case .tokenFile(let path):
            try require(path == "folder/token", "a token is read from \(path)")
            try require(isSecure, "a token would be sent in the clear")
        case .exec(let credentials):
            let plugin = credentials.plugin
            try require(!plugin.command.isEmpty, "a plugin without a name")
            try require(plugin.environment.keys.allSatisfy { !$0.isEmpty && !$0.contains("=") }, "a variable's name")
            try require(plugin.info.hasPrefix(#"{"apiVersion":"client.authentication.k8s.io/v1"#), "no ExecCredential")
            try require(isSecure, "a token would be sent in the clear")
        }
        try require(isSecure || configuration.tls.clientCertificate == nil, "a certificate without TLS")
        try require(
            configuration.tls.verifiesServer || configuration.tls.certificateAuthorities == nil,
            "authorities that are not used"
        )
        let client = HTTPClient.Configuration(tls: configuration.tls, proxy: configuration.proxy, userAgent: "fuzzer")
        do throws(HTTPError) {
            try client.check()
        } catch {
            throw InvariantViolation(message: "an accepted configuration is unusable: \(error)")
        }
        // An "@" in the path does not mark user information, not even in a path that looks like another URL.
        let parts = "\(configuration)".split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        let authority = parts.count > 2 ? parts[2].prefix { !"?#".contains($0) } : ""
        try require(!authority.isEmpty && !authority.contains("@"), "user information is shown")
    }

    private static func check(_ error: KubernetesConfigurationError, lines: Int) throws(InvariantViolation) {
        if error.code == .unreadableFile { return }
        if let file = files.keys.first(where: { error.message.hasPrefix("\($0) ") }) {
            return try require(error.code == .invalid, "\(file) is \(error.code)")
        }
        try require(error.message.hasPrefix("\(path):"), "a message without its position: \(error)")
        let line = Int(error.message.dropFirst(path.count + 1).prefix { $0 != ":" }) ?? 0
        try require((1...lines).contains(line), "a message for line \(line): \(error)")
    }

    private static func check(
        _ other: Result<KubernetesConfiguration, KubernetesConfigurationError>,
        differsOnlyInSecretsFrom result: Result<KubernetesConfiguration, KubernetesConfigurationError>
    ) throws(InvariantViolation) {
        switch (result, other) {
        case (.success(let left), .success(let right)):
            try require("\(left) \(left.credentials)" == "\(right) \(right.credentials)", "a secret is shown: \(left)")
        case (.failure(let left), .failure(let right)):
            try require(
                left == right || isAboutKey(left) && isAboutKey(right),
                "a secret is shown: \(left)"
            )
        case (.success, .failure(let error)), (.failure(let error), .success):
            try require(isAboutKey(error), "whether a secret is accepted depends on its characters: \(error)")
        }
    }

    /// Whether a private key is usable depends on its bytes, but its error is one of a few sentences.
    private static func isAboutKey(_ error: KubernetesConfigurationError) -> Bool {
        let sentences = [
            "there is no private key in PEM", "the private key cannot be read", "the private key cannot be used: ",
            "the private key does not belong to the certificate",
            "the private key is encrypted, which is not supported: decrypt it, as openssl pkey does",
        ]
        return sentences.contains { error.message.contains("client-key-data: \($0)") }
    }
}

extension YAMLNode {
    private static let secretKeys: Set = [
        "client-key-data", "password", "token",
    ]

    /// The same document with other secrets: of the same length, in the same alphabet.
    ///
    /// - Parameter isSecret: whether this node itself is a secret.
    fileprivate func withOtherSecrets(isSecret: Bool) -> YAMLNode {
        var other = self
        switch content {
        case .null: break
        case .scalar(let text, let isPlain):
            if isSecret { other.content = .scalar(Self.exchanged(text), isPlain: isPlain) }
        case .sequence(let items):
            other.content = .sequence(items.map { $0.withOtherSecrets(isSecret: false) })
        case .mapping(let members):
            other.content = .mapping(
                members.map { member in
                    var member = member
                    member.value = member.value.withOtherSecrets(isSecret: Self.secretKeys.contains(member.key))
                    return member
                }
            )
        }
        return other
    }

    /// Exchanges pairs of base64 characters with the same lower bits, so that base64 stays base64.
    private static func exchanged(_ text: String) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".unicodeScalars)
        var exchanged = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            exchanged.append(alphabet.firstIndex(of: scalar).map { alphabet[$0 ^ 16] } ?? scalar)
        }
        return String(exchanged)
    }
}
