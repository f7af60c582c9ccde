// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Leaves the processor to what a test polls for, which nothing signals; the poll then looks again.
///
/// `Task.yield()` would keep a processor busy for as long as that takes, and on a busy machine take it from just what is
/// waited for. Nothing depends on how long this is; on cancellation it returns at once.
public func pollingPause() async {
    // Only cancellation throws.
    try? await Task.sleep(for: .milliseconds(1))
}

/// Runs an exit test when no other one runs.
///
/// An exit test blocks a thread of the concurrency pool until its process has ended: on two cores, two of them leave none for
/// any other test. Seen in swift-testing of Swift 6.3, `ExitTest._processRecords(fromBackChannel:)`.
public func runExitTest(_ test: () async -> Void) async {
    while exitTestRuns.exchange(true, ordering: .acquiring) { await pollingPause() }
    await test()
    exitTestRuns.store(false, ordering: .releasing)
}

private let exitTestRuns = Atomic(false)
