// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGlibc
import Foundation

/// What this process holds: for tests of leaks, in a process of their own.
package enum ProcessResources {
    /// How many file descriptors are open, the one that this takes to find out included.
    package static func openDescriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }

    /// How many bytes of the heap are allocated, Swift's objects and those of C libraries; 0 under a sanitizer, which
    /// has a heap of its own.
    ///
    /// Source: mallinfo(3), `uordblks` and `hblkhd`.
    package static var heapBytes: Int {
        let information = mallinfo2()
        return Int(information.uordblks + information.hblkhd)
    }
}
