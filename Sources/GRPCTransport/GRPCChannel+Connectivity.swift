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

    /// Waits until the connection is no longer in `state`, or was in another one for a moment.
    ///
    /// - Returns: whether the state has changed; false after `timeout`, and possibly on cancellation, which ends the
    ///   wait.
    package func changesConnectivity(from state: ConnectivityState, timeout: Duration) async -> Bool {
        let (changes, continuation) = AsyncStream.makeStream(of: Bool.self)
        let isStarted = unsafe withHandle { handle in
            guard let handle = unsafe handle else { return false }
            return unsafe queue.withTag { hasChanged in
                continuation.yield(hasChanged)
                continuation.finish()
            } start: { tag in
                // grpc.h: returns the tag with success when the state has changed, and without at the deadline.
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
        // Without a handle the channel is shut down.
        guard isStarted else { return state != .shutdown }
        return await changes.first { _ in true } ?? false
    }
}
