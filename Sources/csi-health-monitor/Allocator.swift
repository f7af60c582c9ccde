// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGlibc

/// glibc's malloc, configured to return free memory to the system: pages of lists are hundreds of kilobytes and freed
/// at once.
///
/// Source: mallopt(3).
enum Allocator {
    /// To be called before a second thread starts.
    static func returnFreeMemory() {
        // One arena: memory that one thread freed is available to all. Few threads allocate at the same time here.
        _ = mallopt(M_ARENA_MAX, 1)
        // Fixed thresholds: by default they grow with the size of freed blocks, up to 32 and 64 MiB, and large blocks
        // then fragment the heap instead of being unmapped.
        _ = mallopt(M_MMAP_THRESHOLD, 64 << 10)
        _ = mallopt(M_TRIM_THRESHOLD, 128 << 10)
    }
}
