// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport

/// What a credential plugin has printed.
struct ExecCredential: Sendable, Hashable {
    var token: String?
    var clientCertificate: TLSConfiguration.ClientCertificate?
    /// Seconds since 1970; nil: it does not expire.
    var expiration: Double?

    /// Reads a plugin's standard output by client-go's rules: `refreshCredsLocked` in its exec.go. Errors show none of it.
    init(output: [UInt8], apiVersion: String) throws(KubernetesConfigurationError) {
        let answer: Answer
        do {
            answer = try JSONDecoder().decode(Answer.self, from: Data(output))
        } catch {
            throw Self.error("printed no ExecCredential in JSON on standard output")
        }
        guard answer.kind == "ExecCredential", answer.apiVersion == apiVersion else {
            throw Self.error("did not answer with an ExecCredential of \(apiVersion)")
        }
        guard let status = answer.status else { throw Self.error("returned no status") }
        token = status.token.flatMap { $0.isEmpty ? nil : $0 }
        guard token?.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) ?? true else {
            throw Self.error("returned a token with characters that no bearer token has")
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
                throw Self.error("returned what is no certificate and key: \(problem)")
            }
            clientCertificate = pair
        }
        guard let timestamp = status.expirationTimestamp else { return }
        guard let date = Self.date(timestamp) else {
            throw Self.error("returned an expirationTimestamp that is not of RFC 3339")
        }
        expiration = date.timeIntervalSince1970
    }

    /// `text` without the credential: what a plugin writes to standard error goes to the log.
    func redacting(_ text: String) -> String {
        var secrets = [token].compactMap(\.self)
        if let clientCertificate {
            secrets += String(decoding: clientCertificate.privateKey, as: UTF8.self).split(whereSeparator: \.isNewline)
                .map(String.init).filter { !$0.hasPrefix("-----") }
        }
        return secrets.reduce(text) { $0.replacing($1, with: "[redacted]") }
    }

    private static func error(_ message: String) -> KubernetesConfigurationError {
        KubernetesConfigurationError(code: .invalid, message: message)
    }

    private static func date(_ text: String) -> Date? {
        (try? Date(text, strategy: .iso8601))
            ?? (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }

    /// Of `pkg/apis/clientauthentication/v1/types.go`, what is read; v1beta1 has the same.
    private struct Answer: Decodable {
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

/// When a plugin is run, and what becomes of what it printed. A value: the caller runs it.
struct ExecCredentialCache: Sendable {
    enum Step: Sendable {
        case use(Entry)
        case fail(KubernetesConfigurationError)
        case run
    }

    /// A credential, and which run of the plugin it is of.
    struct Entry: Sendable, Hashable {
        var credential: ExecCredential
        /// Rises with every run.
        var number: Int
    }

    private var entry: Entry?
    private var failure: KubernetesConfigurationError?
    private var ranAt: Duration?

    /// What to do before a request.
    ///
    /// A credential is used until it expires, and a failure for a second: whatever happens, the plugin does not run more
    /// often than that. client-go runs it for every request then.
    ///
    /// - Parameters:
    ///   - now: on any clock that does not go back; the same in every call.
    ///   - date: seconds since 1970.
    func step(now: Duration, date: Double) -> Step {
        let hasJustRun = ranAt.map { now - $0 < BearerToken.minimumAge } ?? false
        if let entry, date <= entry.credential.expiration ?? .infinity || hasJustRun && failure == nil {
            return .use(entry)
        }
        if let failure, hasJustRun { return .fail(failure) }
        return .run
    }

    /// The server has refused the credential of a run.
    func stepAfterRefusal(of number: Int, now: Duration) -> Step? {
        guard let entry else { return nil }
        if entry.number != number { return .use(entry) }
        if let ranAt, now - ranAt < BearerToken.minimumAge { return nil }
        return .run
    }

    /// The plugin has run. After a failure the last credential stays, as long as it does not expire.
    mutating func ran(_ outcome: Result<ExecCredential, KubernetesConfigurationError>, now: Duration) {
        ranAt = now
        switch outcome {
        case .success(let credential):
            entry = Entry(credential: credential, number: (entry?.number ?? 0) + 1)
            failure = nil
        case .failure(let error):
            failure = error
        }
    }
}
