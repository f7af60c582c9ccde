// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// An open watch that a test controls.
///
/// A command takes effect after the changes that were made before it.
package final class WatchHandle: Sendable {
    enum Command: Sendable {
        case reportChanges
        case bookmark
        case send([UInt8])
        case fail(StatusError)
        case cut(afterBytes: Int)
        case end
    }

    package let request: APIRequest
    let commands: AsyncStream<Command>
    private let continuation: AsyncStream<Command>.Continuation
    /// Whether a command to report changes is queued: one is enough, however far a slow reader is behind.
    private let isReporting = Atomic(false)

    init(request: APIRequest) {
        self.request = request
        (commands, continuation) = AsyncStream.makeStream()
    }

    /// Sends a bookmark of the latest resourceVersion, if the client allows bookmarks.
    package func sendBookmark() { continuation.yield(.bookmark) }

    /// Sends bytes as they are: half a frame, garbage, an event of an unknown type.
    package func send(_ bytes: [UInt8]) { continuation.yield(.send(bytes)) }

    /// Sends an ERROR event and ends the watch, as the real server does.
    package func fail(_ error: StatusError) { continuation.yield(.fail(error)) }

    /// Cuts the connection after this many bytes of one more frame, or after all of it.
    package func cut(afterBytes count: Int = 0) { continuation.yield(.cut(afterBytes: count)) }

    /// Ends the watch regularly, as the server does after its timeout.
    package func end() { continuation.yield(.end) }

    func reportChanges() {
        if !isReporting.exchange(true, ordering: .acquiringAndReleasing) { continuation.yield(.reportChanges) }
    }

    /// Must be called before the changes are read that a command reports.
    func beginReporting() {
        isReporting.store(false, ordering: .releasing)
    }
}
