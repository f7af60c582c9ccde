// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Synchronization

extension GRPCChannel {
    /// How the connection is now.
    ///
    /// - Parameter tryToConnect: connects an idle channel.
    package func connectivityState(tryToConnect: Bool) -> ConnectivityState {
        unsafe withHandle { handle in
            guard let handle = unsafe handle else { return .shutdown }
            return unsafe ConnectivityState(grpc_channel_check_connectivity_state(handle, tryToConnect ? 1 : 0))
        }
    }

    /// Waits until the connection is not in this state any more.
    ///
    /// - Returns: the new state; the same one after `timeout`, and early on cancellation.
    package func waitForConnectivityChange(from state: ConnectivityState, timeout: Duration) async -> ConnectivityState
    {
        let waiter = Waiter()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiter.set(continuation)
                let isStarted = unsafe withHandle { handle in
                    guard let handle = unsafe handle else { return false }
                    return unsafe queue.withTag { _ in
                        waiter.resume()
                    } start: { tag in
                        // grpc.h: the tag comes back when the state has changed or at the deadline.
                        unsafe grpc_channel_watch_connectivity_state(
                            handle,
                            state.coreState,
                            deadline(after: timeout),
                            queue.handle,
                            tag
                        )
                        return true
                    }
                }
                if !isStarted { waiter.resume() }
            }
        } onCancel: {
            waiter.resume()
        }
        return connectivityState(tryToConnect: false)
    }
}

/// A continuation that is resumed once, by whoever comes first, even before it is set.
private final class Waiter: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Void, Never>)
        case done
    }

    private let state = Mutex(State.empty)

    func set(_ continuation: CheckedContinuation<Void, Never>) {
        let isDone = state.withLock { state in
            if case .done = state { return true }
            state = .waiting(continuation)
            return false
        }
        if isDone { continuation.resume() }
    }

    func resume() {
        let continuation: CheckedContinuation<Void, Never>? = state.withLock { state in
            defer { state = .done }
            guard case .waiting(let continuation) = state else { return nil }
            return continuation
        }
        continuation?.resume()
    }
}
