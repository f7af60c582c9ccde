// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Synchronization

/// Standard error, shared by all loggers of the process.
enum StandardError {
    /// Held for a whole line; no other lock is taken under it.
    private static let lock = Mutex(())

    /// Writes a line. Lines of different threads never interleave, even where a pipe takes a long line in parts.
    static func write(_ line: [UInt8]) {
        write(line, to: STDERR_FILENO)
    }

    static func write(_ line: [UInt8], to descriptor: Int32) {
        lock.withLock { _ in
            var rest = line[...]
            while !rest.isEmpty {
                // Safe: the buffer is only read, and only during the call.
                let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 {
                    // There is no other place to report that standard error is closed.
                    guard errno == EINTR else { return }
                } else {
                    rest = rest.dropFirst(count)
                }
            }
        }
    }
}
