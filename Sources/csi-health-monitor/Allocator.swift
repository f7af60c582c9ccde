// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CMalloc

/// glibc's malloc, set to give back what is not needed any more: lists come in pages of hundreds of kilobytes, which are
/// free again at once.
///
/// Source: mallopt(3).
enum Allocator {
    /// To be called before there is a second thread.
    static func keepLittle() {
        // One arena: what one thread has freed, any other may use. Few threads allocate at the same time here.
        _ = mallopt(M_ARENA_MAX, 1)
        // Both to be constant: by default they grow with what is freed, up to 32 and 64 MiB, and large blocks then leave
        // holes in the heap instead of going back to the system.
        _ = mallopt(M_MMAP_THRESHOLD, 64 << 10)
        _ = mallopt(M_TRIM_THRESHOLD, 128 << 10)
    }
}
