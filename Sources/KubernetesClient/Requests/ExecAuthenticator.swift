// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Logging
import Synchronization

/// Gets credentials from a credential plugin: client-go's `Authenticator`.
///
/// The plugin runs when there are no credentials, when they have expired and when the server has rejected them; once at
/// a time, for all clients of a configuration. It runs in the task of the request that needs the credentials.
package final class ExecAuthenticator: Sendable {
    private struct State {
        var cache = ExecCredentialCache()
        var isRunning = false
        /// Requests that wait for the run. It finishes their streams.
        var waiters: [AsyncStream<Never>.Continuation] = []
    }

    package let plugin: ExecPlugin
    private let clock: any Clock<Duration>
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// - Parameter clock: measures the time limit of a run.
    package init(_ plugin: ExecPlugin, clock: any Clock<Duration> = ContinuousClock()) {
        self.plugin = plugin
        self.clock = clock
        now = clock.elapsedTime()
    }

    /// The credentials for a request.
    ///
    /// - Throws: why the plugin returned none, or an error of any kind if the caller's task was cancelled.
    func current(_ logger: Logger) async throws(KubernetesConfigurationError) -> ExecCredentialCache.Entry {
        let entry = try await entry(logger) { cache in
            cache.step(now: now(), date: Double(time(nil)))
        }
        guard let entry else { throw plugin.error(.missing, "has no credentials") }
        return entry
    }

    /// The credentials to use after the server has rejected those of a run; nil if there are no others.
    func replacement(for run: Int, _ logger: Logger) async -> ExecCredentialCache.Entry? {
        let entry = try? await entry(logger) { $0.stepAfterRejection(of: run, now: now()) }
        return entry?.run == run ? nil : entry
    }

    private func entry(
        _ logger: Logger,
        step: (ExecCredentialCache) -> ExecCredentialCache.Step?
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
                if Task.isCancelled { throw plugin.error(.invalid, "cancelled") }
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
        let finished = now()
        let waiters = state.withLock { state in
            // The cancellation of a caller is not a failure of the plugin.
            if case .failure = outcome, isCancelled {} else { state.cache.ran(outcome, now: finished) }
            state.isRunning = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.finish() }
        _ = try outcome.get()
    }

    private func credential(_ logger: Logger) async throws(KubernetesConfigurationError) -> ExecCredential {
        let ran = try await plugin.run(clock)
        guard ran.exitCode == 0 else {
            let end = ran.exitCode.map { "failed with exit code \($0)" } ?? "was killed by a signal"
            // Its output may contain a credential, which standard error may repeat.
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
