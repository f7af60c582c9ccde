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
    private let reload: Mutex<TLSReload>

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
        reload = Mutex(TLSReload(configuration.tls, now: now))
    }

    /// Looks at the files where the last look was a minute ago. Returns the generation that a request's connection has at
    /// least.
    func current(now: Duration) -> Int {
        guard files != TLSFiles() else { return 0 }
        return reload.withLock { reload in
            if reload.isDue(now: now) { read(&reload, now: now) }
            return reload.generation
        }
    }

    /// What was sent with `generation` was refused: is there a later one?
    func replacement(for generation: Int, now: Duration) -> Int? {
        guard files != TLSFiles() else { return nil }
        return reload.withLock { reload in
            if reload.generation == generation, reload.refused(now: now) { read(&reload, now: now) }
            return reload.generation == generation ? nil : reload.generation
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
            logger.info("Loaded changed TLS credentials", metadata: ["files": "\(changed.joined(separator: " "))"])
        case .failed(let isNew):
            logger.log(
                level: isNew ? .warning : .debug,
                "Failed to load TLS credentials, the last ones stay in use",
                metadata: ["files": "\(files.paths.joined(separator: " "))", "error": "\(problem)"]
            )
        }
    }
}
