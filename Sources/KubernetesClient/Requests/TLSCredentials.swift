// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import Logging
import Synchronization

/// The certificates and keys that connections are made with, fresh from their files: what ``BearerToken`` is for tokens.
final class TLSCredentials: Sendable {
    private let files: TLSFiles
    private let logger: Logger
    /// Makes new connections use a configuration.
    private let apply: @Sendable (TLSConfiguration) -> Void
    private struct State {
        var reload: TLSReload
        /// The credential plugin's run whose certificate is in use.
        var execNumber = 0
    }

    private let state: Mutex<State>

    /// - Parameters:
    ///   - now: on any clock that does not go back; the same in every call.
    ///   - apply: called with every changed configuration, in order.
    init(
        _ configuration: KubernetesConfiguration,
        now: Duration,
        logger: Logger,
        apply: @escaping @Sendable (TLSConfiguration) -> Void
    ) {
        files = configuration.tlsFiles
        self.logger = logger
        self.apply = apply
        state = Mutex(State(reload: TLSReload(configuration.tls, now: now)))
    }

    /// Looks at the files where the last look was a minute ago. Returns the generation that a request's connection has at
    /// least.
    func current(now: Duration) -> Int {
        guard files != TLSFiles() else { return 0 }
        return state.withLock { state in
            if state.reload.isDue(now: now) { read(&state.reload, now: now) }
            return state.reload.generation
        }
    }

    /// Uses the client certificate of a credential plugin's run, unless that of a later one is in use.
    func use(_ entry: ExecCredentialCache.Entry) {
        state.withLock { state in
            guard entry.number > state.execNumber else { return }
            state.execNumber = entry.number
            if state.reload.use(entry.credential.clientCertificate) { apply(state.reload.configuration) }
        }
    }

    /// What was sent with `generation` was refused: is there a later one?
    func replacement(for generation: Int, now: Duration) -> Int? {
        guard files != TLSFiles() else { return nil }
        return state.withLock { state in
            if state.reload.generation == generation, state.reload.refused(now: now) { read(&state.reload, now: now) }
            return state.reload.generation == generation ? nil : state.reload.generation
        }
    }

    private func read(_ reload: inout TLSReload, now: Duration) {
        let old = reload.configuration
        var reading: TLSConfiguration?
        var problem = ""
        do throws(KubernetesConfigurationError) {
            reading = try files.read(into: old)
        } catch {
            problem = error.message
        }
        switch reload.read(reading, now: now) {
        case .unchanged: break
        case .changed:
            apply(reload.configuration)
            let changed = files.changed(from: old, to: reload.configuration)
            logger.notice("Loaded changed TLS credentials", metadata: ["files": "\(changed.joined(separator: " "))"])
        case .failed(let isNew):
            logger.log(
                level: isNew ? .warning : .debug,
                "Failed to load TLS credentials, the last ones stay in use",
                metadata: ["files": "\(files.paths.joined(separator: " "))", "err": "\(problem)"]
            )
        }
    }
}
