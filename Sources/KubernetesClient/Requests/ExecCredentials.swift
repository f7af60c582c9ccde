// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Logging
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The credentials of a credential plugin, which runs when there are none, when they have expired and when the server has
/// refused them; once at a time, for all clients of a configuration. It runs in the task of the request that needs them.
package final class ExecCredentials: Sendable {
    private struct State {
        var cache = ExecCredentialCache()
        var isRunning = false
        /// Finished when the run is over.
        var waiters: [AsyncStream<Never>.Continuation] = []
    }

    package let plugin: ExecPlugin
    private let timekeeper: Timekeeper
    private let state = Mutex(State())

    /// - Parameter clock: measures a run's time limit.
    package init(_ plugin: ExecPlugin, clock: any Clock<Duration> = ContinuousClock()) {
        self.plugin = plugin
        timekeeper = Timekeeper(clock)
    }

    /// The credentials to send a request with.
    ///
    /// - Throws: why the plugin has none. The caller looks whether its task was cancelled.
    func current(_ logger: Logger) async throws(KubernetesConfigurationError) -> ExecCredentialCache.Entry {
        let timekeeper = timekeeper
        let entry = try await entry(logger) { cache in
            cache.step(now: timekeeper.now(), date: Double(time(nil)))
        }
        guard let entry else { throw plugin.error(.missing, "has no credentials") }
        return entry
    }

    /// The server has refused the credentials of a run: are there others?
    func replacement(for number: Int, _ logger: Logger) async -> ExecCredentialCache.Entry? {
        let timekeeper = timekeeper
        let entry = try? await entry(logger) { $0.stepAfterRefusal(of: number, now: timekeeper.now()) }
        return entry?.number == number ? nil : entry
    }

    private func entry(
        _ logger: Logger,
        step: @Sendable (ExecCredentialCache) -> ExecCredentialCache.Step?
    ) async throws(KubernetesConfigurationError) -> ExecCredentialCache.Entry? {
        while true {
            let (next, waits) = state.withLock { state -> (ExecCredentialCache.Step?, AsyncStream<Never>?) in
                let next = step(state.cache)
                guard case .run = next else { return (next, nil) }
                guard state.isRunning else {
                    state.isRunning = true
                    return (next, nil)
                }
                let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
                state.waiters.append(continuation)
                return (next, stream)
            }
            if let waits {
                for await _ in waits {}
                if Task.isCancelled { throw plugin.error(.invalid, "was not waited for: cancelled") }
                continue
            }
            switch next {
            case nil: return nil
            case .use(let entry): return entry
            case .fail(let error): throw error
            case .run: try await run(logger)
            }
        }
    }

    private func run(_ logger: Logger) async throws(KubernetesConfigurationError) {
        let outcome: Result<ExecCredential, KubernetesConfigurationError>
        do throws(KubernetesConfigurationError) {
            outcome = .success(try await credential(logger))
        } catch {
            outcome = .failure(error)
        }
        let isCancelled = Task.isCancelled
        let waiters = state.withLock { state in
            // A cancelled caller is no failure of the plugin.
            if case .failure = outcome, isCancelled {} else { state.cache.ran(outcome, now: timekeeper.now()) }
            state.isRunning = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.finish() }
        _ = try outcome.get()
    }

    private func credential(_ logger: Logger) async throws(KubernetesConfigurationError) -> ExecCredential {
        let ran = try await plugin.run(timekeeper)
        guard ran.exitCode == 0 else {
            let end = ran.exitCode.map { "failed with exit code \($0)" } ?? "was ended by a signal"
            // What it printed may be a credential that standard error repeats.
            if ran.output.isEmpty { log(ran.errors, logger, .warning) }
            throw plugin.error(.invalid, end)
        }
        let credential: ExecCredential
        do throws(KubernetesConfigurationError) {
            credential = try ExecCredential(output: ran.output, apiVersion: plugin.apiVersion)
        } catch {
            throw plugin.error(error.code, error.message)
        }
        log(credential.redacting(ran.errors), logger, .debug)
        logger.debug("Credential plugin returned credentials", metadata: ["command": "\(plugin.command)"])
        return credential
    }

    private func log(_ errors: String, _ logger: Logger, _ level: Logger.Level) {
        guard !errors.isEmpty else { return }
        logger.log(
            level: level,
            "Credential plugin wrote to standard error",
            metadata: ["command": "\(plugin.command)", "stderr": "\(errors)"]
        )
    }
}
