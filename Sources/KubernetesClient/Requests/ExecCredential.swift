// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport

/// The output of a credential plugin.
struct ExecCredential: Sendable, Hashable {
    var token: String?
    var clientCertificate: TLSConfiguration.ClientCertificate?
    /// Seconds since 1970; nil if it does not expire.
    var expiration: Double?

    /// Decodes a plugin's standard output by client-go's rules: `refreshCredsLocked` in exec.go. Errors contain none of
    /// it.
    init(output: [UInt8], apiVersion: String) throws(KubernetesConfigurationError) {
        let decoded: Output
        do {
            decoded = try JSONDecoder().decode(Output.self, from: Data(output))
        } catch {
            throw Self.error("printed no ExecCredential in JSON to standard output")
        }
        guard decoded.kind == "ExecCredential", decoded.apiVersion == apiVersion else {
            throw Self.error("did not return an ExecCredential of \(apiVersion)")
        }
        guard let status = decoded.status else { throw Self.error("returned no status") }
        token = status.token.flatMap { $0.isEmpty ? nil : $0 }
        guard token?.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) ?? true else {
            throw Self.error("returned a token with characters that are invalid in a bearer token")
        }
        switch (status.clientCertificateData ?? "", status.clientKeyData ?? "") {
        case ("", ""):
            guard token != nil else { throw Self.error("returned neither a token nor a certificate and a key") }
        case ("", _), (_, ""):
            throw Self.error("returned only a certificate or a key, not both")
        case (let certificate, let key):
            let pair = TLSConfiguration.ClientCertificate(
                certificate: Array(certificate.utf8),
                privateKey: Array(key.utf8)
            )
            if let problem = TLSConfiguration(clientCertificate: pair).problem {
                throw Self.error("returned an unusable certificate and key: \(problem)")
            }
            clientCertificate = pair
        }
        guard let timestamp = status.expirationTimestamp else { return }
        guard let date = Self.date(timestamp) else {
            throw Self.error("returned an expirationTimestamp that is not in RFC 3339 format")
        }
        expiration = date.timeIntervalSince1970
    }

    /// Removes the credential from `text`, such as the plugin's standard error before it is logged.
    ///
    /// - Parameter mayBeCut: whether the text may end within a part of the credential, which is removed too.
    func redacting(_ text: String, mayBeCut: Bool = false) -> String {
        var secrets = [token].compactMap(\.self)
        if let clientCertificate {
            secrets += String(decoding: clientCertificate.privateKey, as: UTF8.self).split(whereSeparator: \.isNewline)
                .map(String.init).filter { !$0.hasPrefix("-----") }
        }
        let redacted = secrets.reduce(text) { $0.replacing($1, with: "[redacted]") }
        guard mayBeCut else { return redacted }
        let bytes = Array(redacted.utf8)
        let excess = secrets.map { Self.length(ofStartOf: Array($0.utf8), atEndOf: bytes) }.max() ?? 0
        return String(decoding: bytes.dropLast(excess), as: UTF8.self)
    }

    /// How many bytes at the end of `text` are the beginning of `secret`.
    private static func length(ofStartOf secret: [UInt8], atEndOf text: [UInt8]) -> Int {
        (0...min(secret.count, text.count)).last { text.suffix($0).elementsEqual(secret.prefix($0)) } ?? 0
    }

    private static func error(_ message: String) -> KubernetesConfigurationError {
        KubernetesConfigurationError(code: .invalid, message: message)
    }

    private static func date(_ text: String) -> Date? {
        (try? Date(text, strategy: .iso8601))
            ?? (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }

    /// The fields that are read. Source: `pkg/apis/clientauthentication/v1/types.go`; v1beta1 has the same.
    private struct Output: Decodable {
        struct Status: Decodable {
            var token: String?
            var clientCertificateData: String?
            var clientKeyData: String?
            var expirationTimestamp: String?
        }

        var kind: String?
        var apiVersion: String?
        var status: Status?
    }
}

/// Decides when to run a plugin, and keeps its last credential. A value: the caller runs the plugin.
struct ExecCredentialCache: Sendable {
    enum Step: Sendable {
        case use(Entry)
        case fail(KubernetesConfigurationError)
        case run
    }

    /// A credential and the run of the plugin that returned it.
    struct Entry: Sendable, Hashable {
        var credential: ExecCredential
        /// Increases with every successful run.
        var run: Int
    }

    /// The last credential, which may have expired.
    private(set) var entry: Entry?
    private var failure: KubernetesConfigurationError?
    private var ranAt: Duration?

    /// What to do before a request.
    ///
    /// A credential is used until it expires, and a failure for a second: the plugin runs at most once a second.
    /// client-go runs a plugin that fails for every request.
    ///
    /// - Parameters:
    ///   - now: the time since any fixed moment of a monotonic clock.
    ///   - date: seconds since 1970.
    func step(now: Duration, date: Double) -> Step {
        let hasJustRun = ranAt.map { now - $0 < BearerToken.minimumAge } ?? false
        if let entry, date <= entry.credential.expiration ?? .infinity || hasJustRun && failure == nil {
            return .use(entry)
        }
        if let failure, hasJustRun { return .fail(failure) }
        return .run
    }

    /// What to do after the server has rejected the credential of a run; nil if there is no other for now.
    func stepAfterRejection(of run: Int, now: Duration) -> Step? {
        guard let entry else { return nil }
        if entry.run != run { return .use(entry) }
        if let ranAt, now - ranAt < BearerToken.minimumAge { return nil }
        return .run
    }

    /// The plugin has run. After a failure, the last credential stays in use until it expires.
    ///
    /// - Returns: the outcome, with the entry of the credential.
    @discardableResult
    mutating func ran(
        _ outcome: Result<ExecCredential, KubernetesConfigurationError>,
        now: Duration
    ) -> Result<Entry, KubernetesConfigurationError> {
        ranAt = now
        switch outcome {
        case .success(let credential):
            let new = Entry(credential: credential, run: (entry?.run ?? 0) + 1)
            (entry, failure) = (new, nil)
            return .success(new)
        case .failure(let error):
            failure = error
            return .failure(error)
        }
    }
}
