// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import Logging
import Synchronization

/// The certificates and keys of connections, read again from their files, as ``BearerToken`` does for tokens.
final class TLSCredentials: Sendable {
    private let files: TLSFiles
    private let logger: Logger
    /// Makes new connections use a configuration. Called with `state` locked, so that changes are applied in order; it
    /// locks the HTTP client's configuration.
    private let apply: @Sendable (TLSConfiguration) -> Void
    /// Lock order: before the HTTP client's lock. Files are read under it, so that concurrent requests read them once.
    private let state: Mutex<State>

    private struct State {
        var reload: TLSReload
        /// The run of the credential plugin whose certificate is in use.
        var execRun = 0
    }

    /// - Parameters:
    ///   - now: the time since any fixed moment of a monotonic clock.
    ///   - apply: is called with every changed configuration, in order.
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

    /// Reads the files again if the last read was a minute ago.
    ///
    /// - Returns: the generation of the configuration in use. A new connection has this one or a later one.
    func current(now: Duration) -> Int {
        guard files != TLSFiles() else { return 0 }
        return state.withLock { state in
            if state.reload.isDue(now: now) { read(&state.reload, now: now) }
            return state.reload.generation
        }
    }

    /// Uses the client certificate of a run of the credential plugin, unless that of a later run is in use.
    func use(_ entry: ExecCredentialCache.Entry) {
        state.withLock { state in
            guard entry.run > state.execRun else { return }
            state.execRun = entry.run
            if state.reload.use(entry.credential.clientCertificate) { apply(state.reload.configuration) }
        }
    }

    /// The generation to use after a connection or request of `generation` was rejected; nil if there is no later one.
    func replacement(for generation: Int, now: Duration) -> Int? {
        guard files != TLSFiles() else { return nil }
        return state.withLock { state in
            if state.reload.generation == generation, state.reload.rejected(now: now) { read(&state.reload, now: now) }
            return state.reload.generation == generation ? nil : state.reload.generation
        }
    }

    private func read(_ reload: inout TLSReload, now: Duration) {
        let old = reload.configuration
        var reading: TLSConfiguration?
        var problem = "the file of certificate authorities is incomplete"
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
            logger.notice("Reloaded TLS credentials", metadata: ["files": "\(changed.joined(separator: " "))"])
            guard let file = files.certificateAuthorities, changed.contains(file) else { break }
            KubernetesConfiguration.SkippedAuthorities(reload.configuration, source: file)?.log(to: logger)
        case .failed(let isNew):
            logger.log(
                level: isNew ? .warning : .debug,
                "Failed to reload TLS credentials, using the last ones",
                metadata: ["files": "\(files.paths.joined(separator: " "))", "err": "\(problem)"]
            )
        }
    }
}
