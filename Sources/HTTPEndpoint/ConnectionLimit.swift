// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOCore
import Synchronization

/// Limits how many connections are open, or have a response in flight, at a time.
final class ConnectionLimit: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(_ limit: Int) {
        self.limit = limit
    }

    /// Counts a connection until it is closed, whichever side or deadline closes it. Returns false above the limit; the
    /// connection then does not count.
    func add(_ channel: any Channel) -> Bool {
        let isWithinLimit = count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        if isWithinLimit { channel.closeFuture.whenComplete { _ in self.count.withLock { $0 -= 1 } } }
        return isWithinLimit
    }
}
