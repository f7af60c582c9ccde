// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
import KubernetesAPI
package import KubernetesClient
import Synchronization

/// A cache of Secrets, for the `secrets` of CSI calls: each Secret is read once per `lifetime`, however many volumes
/// refer to it.
///
/// A failure is cached for `failureLifetime`. A changed Secret takes effect after `lifetime` at the latest. Tasks that
/// need the same Secret at the same time share one read. A Secret that is not used any more is dropped within two
/// lifetimes, as long as others are used. Errors and logs contain only the name of a Secret.
///
/// RBAC: `get` on `secrets`, which may be narrowed to the namespaces or the names that volumes refer to.
package final class VolumeSecrets: Sendable {
    private typealias Contents = Result<[String: String], KubernetesError>

    private enum Entry {
        /// A task reads the Secret; these tasks wait for it.
        case reading([WakeUp])
        case known(Contents, until: Duration)
    }

    private struct State {
        var entries: [SecretName: Entry] = [:]
        var nextPurge: Duration
    }

    /// What a task that needs a Secret does next.
    private enum Step {
        case take(Contents)
        case wait(WakeUp)
        case read
    }

    private let client: KubernetesClient
    private let time: ElapsedTime
    private let lifetime: Duration
    private let failureLifetime: Duration
    private let state: Mutex<State>

    ///
    /// - Parameters:
    ///   - lifetime: how long a Secret is cached.
    ///   - failureLifetime: how long a failure is cached; longer where the API server's `Retry-After` asks for it.
    package init(
        client: KubernetesClient,
        time: ElapsedTime,
        lifetime: Duration = .seconds(300),
        failureLifetime: Duration = .seconds(30)
    ) {
        self.client = client
        self.time = time
        self.lifetime = lifetime
        self.failureLifetime = failureLifetime
        self.state = Mutex(State(nextPurge: time.now + lifetime))
    }

    /// The number of cached Secrets and failures.
    var count: Int { state.withLock { $0.entries.count } }

    /// The contents of the Secret, at most `lifetime` old.
    ///
    /// - Throws: ``KubernetesError``: `notFound` when the Secret does not exist, `forbidden` when the RBAC rule is
    ///   missing, `decoding` when a value is not UTF-8, `cancelled` when the task was cancelled while it waited.
    package func secrets(for name: SecretName) async throws(KubernetesError) -> [String: String] {
        while true {
            switch step(for: name) {
            case .take(let contents):
                return try contents.get()
            case .wait(let wakeUp):
                await wakeUp.wait()
                if Task.isCancelled {
                    throw KubernetesError(
                        code: .cancelled,
                        message: "waiting for secret \(name.namespace)/\(name.name): cancelled"
                    )
                }
            case .read:
                let contents = await read(name)
                complete(name, contents)
                return try contents.get()
            }
        }
    }

    private func step(for name: SecretName) -> Step {
        state.withLock { state in
            switch state.entries[name] {
            case .known(let contents, let end) where time.now < end:
                return .take(contents)
            case .reading(let waiting):
                let wakeUp = WakeUp()
                state.entries[name] = .reading(waiting + [wakeUp])
                return .wait(wakeUp)
            case .known, nil:
                state.entries[name] = .reading([])
                return .read
            }
        }
    }

    private func read(_ name: SecretName) async -> Contents {
        do {
            let secret = try await client.get(Secret.self, name: name.name, namespace: name.namespace)
            return .success(try Self.strings(secret, name))
        } catch {
            return .failure(error)
        }
    }

    /// Caches the result and resumes the tasks that wait for it.
    private func complete(_ name: SecretName, _ contents: Contents) {
        let waiting: [WakeUp] = state.withLock { state in
            let now = time.now
            var waiting: [WakeUp] = []
            if case .reading(let tasks) = state.entries[name] { waiting = tasks }
            state.entries[name] = lifetime(of: contents).map { .known(contents, until: now + $0) }
            if now >= state.nextPurge {
                state.nextPurge = now + lifetime
                state.entries = state.entries.filter { _, entry in
                    if case .known(_, let end) = entry { now < end } else { true }
                }
            }
            return waiting
        }
        for wakeUp in waiting { wakeUp.signal() }
    }

    /// How long a result is cached; nil: the read was cancelled, and one of the waiting tasks reads the Secret again.
    private func lifetime(of contents: Contents) -> Duration? {
        switch contents {
        case .success: lifetime
        case .failure(let error) where error.code == .cancelled: nil
        case .failure(let error): max(failureLifetime, error.retryAfter ?? .zero)
        }
    }

    /// The values of a Secret are bytes; `secrets` in CSI are strings, which protobuf requires to be UTF-8.
    private static func strings(_ secret: Secret, _ name: SecretName) throws(KubernetesError) -> [String: String] {
        var strings: [String: String] = [:]
        for (key, value) in secret.data.sorted(by: { $0.key < $1.key }) {
            guard let string = String(validating: value, as: UTF8.self) else {
                throw KubernetesError(
                    code: .decoding,
                    message: """
                        secret \(name.namespace)/\(name.name): the value of \(key) is not UTF-8, which CSI requires: \
                        store it in an encoding that the driver understands, or omit --volume-secrets
                        """
                )
            }
            strings[key] = string
        }
        return strings
    }
}
