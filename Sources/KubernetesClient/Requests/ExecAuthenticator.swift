// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Logging
import Synchronization

/// Gets credentials from a credential plugin: client-go's `Authenticator`.
///
/// The plugin runs when there are no credentials, when they have expired and when the server has rejected them; once at
/// a time, for all clients of a configuration. The requests that need the credentials wait for the run. It goes on
/// without a request that is cancelled, and ends early only by the shutdown of the client that has started it
/// (``ExecRun``).
package final class ExecAuthenticator: Sendable {
    private typealias Outcome = Result<ExecCredentialCache.Entry, KubernetesConfigurationError>

    private struct State {
        var cache = ExecCredentialCache()
        var isRunning = false
        /// Requests that wait for the run. It sends them its outcome, none if a shutdown has ended it, and finishes
        /// their streams.
        var waiters: [AsyncStream<Outcome>.Continuation] = []
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
    /// - Parameter run: the client's.
    /// - Throws: why the plugin returned none, or an error of any kind if the caller's task was cancelled or the client
    ///   is shut down.
    func current(
        in run: ExecRun,
        _ logger: Logger
    ) async throws(KubernetesConfigurationError) -> ExecCredentialCache.Entry {
        let entry = try await entry(in: run, logger) { cache in
            cache.step(now: now(), date: Double(time(nil)))
        }
        guard let entry else { throw plugin.error(.missing, "has no credentials") }
        return entry
    }

    /// The credentials to use after the server has rejected those of a run; nil if there are no others.
    func replacement(for number: Int, in run: ExecRun, _ logger: Logger) async -> ExecCredentialCache.Entry? {
        let entry = try? await entry(in: run, logger) { $0.stepAfterRejection(of: number, now: now()) }
        return entry?.run == number ? nil : entry
    }

    private func entry(
        in run: ExecRun,
        _ logger: Logger,
        step: (ExecCredentialCache) -> ExecCredentialCache.Step?
    ) async throws(KubernetesConfigurationError) -> ExecCredentialCache.Entry? {
        while true {
            let (outcomes, outcome) = AsyncStream.makeStream(of: Outcome.self)
            let (next, isRunning) = state.withLock { state in
                let next = step(state.cache)
                guard case .run = next else { return (next, false) }
                defer { state.isRunning = true }
                state.waiters.append(outcome)
                return (next, state.isRunning)
            }
            switch next {
            case nil: return nil
            case .use(let entry): return entry
            case .fail(let error): throw error
            case .run:
                if !isRunning, !run.start({ await self.run(logger) }) {
                    ended(nil)
                    throw plugin.error(.invalid, "was not run: the client is shut down")
                }
                for await outcome in outcomes { return try outcome.get() }
                if Task.isCancelled { throw plugin.error(.invalid, "cancelled") }
            }
        }
    }

    private func run(_ logger: Logger) async {
        let result: Result<ExecCredential, KubernetesConfigurationError>
        do throws(KubernetesConfigurationError) {
            result = .success(try await credential(logger))
        } catch {
            result = .failure(error)
        }
        // A shutdown is not a failure of the plugin. Requests of other clients start another run.
        if case .failure = result, Task.isCancelled { return ended(nil) }
        let finished = now()
        ended(state.withLock { $0.cache.ran(result, now: finished) })
    }

    private func ended(_ outcome: Outcome?) {
        let waiters = state.withLock { state in
            state.isRunning = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters {
            if let outcome { waiter.yield(outcome) }
            waiter.finish()
        }
    }

    private func credential(_ logger: Logger) async throws(KubernetesConfigurationError) -> ExecCredential {
        let ran = try await plugin.run(clock)
        guard ran.exitCode == 0 else {
            let end = ran.exitCode.map { "failed with exit code \($0)" } ?? "was killed by a signal"
            // Its output may contain a credential, which standard error may repeat.
            if ran.output.isEmpty { log(ran, nil, logger, .warning) }
            throw plugin.error(.invalid, end)
        }
        let credential: ExecCredential
        do throws(KubernetesConfigurationError) {
            credential = try ExecCredential(output: ran.output, apiVersion: plugin.apiVersion)
        } catch {
            throw plugin.error(error.code, error.message)
        }
        log(ran, credential, logger, .debug)
        logger.debug("Credential plugin returned credentials", metadata: ["command": "\(plugin.command)"])
        return credential
    }

    /// Logs the plugin's standard error without the credential that it returned, or an earlier one that it may repeat.
    private func log(_ ran: ExecPlugin.Output, _ credential: ExecCredential?, _ logger: Logger, _ level: Logger.Level) {
        guard !ran.errors.isEmpty else { return }
        let earlier = state.withLock { $0.cache.entry?.credential }
        let errors = [credential, earlier].compactMap(\.self).reduce(ran.errors) {
            $1.redacting($0, mayBeCut: ran.mayBeCut)
        }
        logger.log(
            level: level,
            "Credential plugin wrote to standard error",
            metadata: ["command": "\(plugin.command)", "stderr": "\(errors)"]
        )
    }
}
