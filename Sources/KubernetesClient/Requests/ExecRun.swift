// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The run of a credential plugin that a request of a client has started.
///
/// It does not belong to the task of the request: a request may have less time than the plugin takes. A renewal of a
/// Lease has five seconds, the next ones less, and if each of them ended the run that it started, the term would be
/// lost whenever the credentials expire. The run is a task of the client instead, which is not structured: nothing of a
/// client but its transport's thread lives as long as the client. Its shutdown cancels the task and waits for its end.
final class ExecRun: Sendable {
    private struct State {
        /// The last one. ``ExecAuthenticator`` starts one at a time.
        var task: Task<Void, Never>?
        var isShutDown = false
    }

    private let state = Mutex(State())

    var isShutDown: Bool { state.withLock { $0.isShutDown } }

    /// - Returns: false after the shutdown; then `run` is not called.
    func start(_ run: @escaping @Sendable () async -> Void) -> Bool {
        state.withLock { state in
            guard !state.isShutDown else { return false }
            state.task = Task { await run() }
            return true
        }
    }

    /// Cancels the run and waits for its end. Idempotent.
    func shutdown() async {
        let task = state.withLock { state in
            state.isShutDown = true
            return state.task
        }
        task?.cancel()
        await task?.value
    }
}
