// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC

extension GRPCChannel {
    /// - Parameter tryToConnect: starts connecting an idle channel.
    package func connectivityState(tryToConnect: Bool) -> ConnectivityState {
        unsafe withHandle { handle in
            guard let handle = unsafe handle else { return .shutdown }
            return unsafe ConnectivityState(grpc_channel_check_connectivity_state(handle, tryToConnect ? 1 : 0))
        }
    }

    /// Waits until the connection is no longer in `state`.
    ///
    /// - Returns: the new state; `state` itself after `timeout`, and possibly on cancellation, which ends the wait.
    package func waitForConnectivityChange(from state: ConnectivityState, timeout: Duration) async -> ConnectivityState
    {
        let (signal, continuation) = AsyncStream.makeStream(of: Never.self)
        let isStarted = unsafe withHandle { handle in
            guard let handle = unsafe handle else { return false }
            return unsafe queue.withTag { _ in
                continuation.finish()
            } start: { tag in
                // grpc.h: returns the tag when the state has changed, and at the deadline.
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
        if isStarted { for await _ in signal {} }
        return connectivityState(tryToConnect: false)
    }
}
