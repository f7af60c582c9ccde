// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// An open watch, in a test's hands.
///
/// Whatever a test asks of it comes after the changes made before the test asked.
package final class WatchHandle: Sendable {
    enum Command: Sendable {
        /// There may be changes to report.
        case reportChanges
        case bookmark
        case send([UInt8])
        case fail(StatusError)
        case cut(afterBytes: Int)
        case end
    }

    /// What the client asked for.
    package let request: APIRequest
    let commands: AsyncStream<Command>
    private let continuation: AsyncStream<Command>.Continuation
    /// Whether a command to report changes waits already: one is enough, however many changes a slow reader is behind.
    private let isReporting = Atomic(false)

    init(request: APIRequest) {
        self.request = request
        (commands, continuation) = AsyncStream.makeStream()
    }

    /// Sends a bookmark of the latest resourceVersion, if the client allows bookmarks.
    package func sendBookmark() { continuation.yield(.bookmark) }

    /// Sends bytes as they are: half a frame, nonsense, an event of an unknown type.
    package func send(_ bytes: [UInt8]) { continuation.yield(.send(bytes)) }

    /// Sends an ERROR event and ends the watch, as the real server does.
    package func fail(_ error: StatusError) { continuation.yield(.fail(error)) }

    /// Cuts the connection after this many bytes of one more frame (or as many as it has).
    package func cut(afterBytes count: Int = 0) { continuation.yield(.cut(afterBytes: count)) }

    /// Ends the watch in good order, as the server does when its time is over.
    package func end() { continuation.yield(.end) }

    func reportChanges() {
        if !isReporting.exchange(true, ordering: .acquiringAndReleasing) { continuation.yield(.reportChanges) }
    }

    /// To be called before the changes are looked up that a command is about.
    func beginReporting() {
        isReporting.store(false, ordering: .releasing)
    }
}
