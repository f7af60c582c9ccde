// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// Identifies the file of a socket. A socket that was removed and created again is another one.
package struct SocketIdentity: Sendable, Hashable {
    package let device: UInt64
    package let inode: UInt64
    /// The time of its last modification, since 1970; for a socket that is its creation.
    package let modified: Duration

    package init(device: UInt64, inode: UInt64, modified: Duration) {
        self.device = device
        self.inode = inode
        self.modified = modified
    }

    /// Reads the file system, which may change at any time. nil if the path leads to no socket.
    package init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        self.init(status)
    }

    init(_ status: stat) {
        self.init(
            device: UInt64(status.st_dev),
            inode: UInt64(status.st_ino),
            modified: .seconds(status.st_mtim.tv_sec) + .nanoseconds(status.st_mtim.tv_nsec)
        )
    }
}
