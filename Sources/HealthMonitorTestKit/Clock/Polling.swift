// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Leaves the processor to what a test polls for, which nothing signals; the poll then looks again.
///
/// `Task.yield()` would keep a processor busy for as long as that takes, and on a busy machine take it from just what is
/// waited for. Nothing depends on how long this is; on cancellation it returns at once.
public func pollingPause() async {
    // Only cancellation throws.
    try? await Task.sleep(for: .milliseconds(1))
}
