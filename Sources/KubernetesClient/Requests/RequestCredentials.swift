// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Logging

/// What a request is sent with, beside its content.
struct RequestCredentials: Sendable {
    var token: String?
    /// The certificates of its connection: see ``TLSCredentials``.
    var tlsGeneration = 0
    /// nil without a credential plugin.
    var execEntry: ExecCredentialCache.Entry?

    /// Whether a server that has refused these may accept `others`. A plugin may return the same credential again, with
    /// another time of expiration.
    func differ(from others: RequestCredentials) -> Bool {
        token != others.token || tlsGeneration != others.tlsGeneration
            || execEntry?.credential.clientCertificate != others.execEntry?.credential.clientCertificate
    }
}

/// The credentials of a client's requests, from wherever its configuration has them.
final class ClientCredentials: Sendable {
    private let bearerToken: BearerToken
    private let execAuthenticator: ExecAuthenticator?
    private let execRun = ExecRun()
    private let tls: TLSCredentials
    private let now: @Sendable () -> Duration
    private let logger: Logger

    /// - Parameter now: the time since any fixed moment of a monotonic clock.
    init(
        _ configuration: KubernetesConfiguration,
        tls: TLSCredentials,
        now: @escaping @Sendable () -> Duration,
        logger: Logger
    ) {
        bearerToken = BearerToken(configuration.credentials)
        execAuthenticator =
            if case .exec(let authenticator) = configuration.credentials { authenticator } else { nil }
        self.tls = tls
        self.now = now
        self.logger = logger
    }

    /// The credentials for a request.
    ///
    /// - Throws: if there are none, after the shutdown, or if the caller's task was cancelled.
    func current() async throws(KubernetesConfigurationError) -> RequestCredentials {
        var credentials = RequestCredentials(token: try bearerToken.current(now: now()))
        if let execAuthenticator { use(try await execAuthenticator.current(in: execRun, logger), for: &credentials) }
        credentials.tlsGeneration = tls.current(now: now())
        return credentials
    }

    /// The credentials after the server has refused others with 401; nil if there are no different ones for now.
    func replacement(for refused: RequestCredentials) async -> RequestCredentials? {
        var fresh = refused
        fresh.token = bearerToken.replacement(for: refused.token, now: now()) ?? refused.token
        fresh.tlsGeneration = tls.replacement(for: refused.tlsGeneration, now: now()) ?? refused.tlsGeneration
        if let execAuthenticator, let run = refused.execEntry?.run,
            let entry = await execAuthenticator.replacement(for: run, in: execRun, logger)
        {
            use(entry, for: &fresh)
            fresh.tlsGeneration = tls.current(now: now())
        }
        return fresh.differ(from: refused) ? fresh : nil
    }

    /// The credentials after a connection has failed; nil if the files of certificates have not changed.
    func replacement(forConnectionOf failed: RequestCredentials) -> RequestCredentials? {
        guard let generation = tls.replacement(for: failed.tlsGeneration, now: now()) else { return nil }
        var fresh = failed
        fresh.tlsGeneration = generation
        return fresh
    }

    private func use(_ entry: ExecCredentialCache.Entry, for credentials: inout RequestCredentials) {
        credentials.execEntry = entry
        credentials.token = entry.credential.token
        tls.use(entry)
    }

    /// Ends the run of the credential plugin that this client has started; no other one begins. Idempotent.
    func shutdown() async {
        await execRun.shutdown()
    }

    var isShutDown: Bool { execRun.isShutDown }
}
