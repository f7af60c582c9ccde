// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The heart of the monitor: takes what the driver says and what the cluster holds, and gives what to tell.
///
/// Pure and deterministic. Time is passed in as a `Duration` since any fixed moment of a monotonic clock; whoever
/// calls owns sockets and clocks. The rules by number are those of docs/architecture.md, "The contract".
///
/// The driver is asked in sweeps. ``beginSweep()``, any number of ``receive(_:at:)``, ``endSweep(complete:at:)``:
/// what is wrong counts at once; that a volume is well counts when the list that says so is complete, because a later
/// page may disagree (rule 2).
public struct Reconciler: Sendable {
    /// Which claims use which volumes; filled by the watches.
    public var index = ClaimIndex()
    private var outbox: Outbox
    private var sweep = Sweep()

    /// What the driver said since the sweep began.
    private struct Sweep: Sendable {
        var adverse: [String: VolumeHealthReport] = [:]
        /// Volumes said to be well that were not, as far as people know.
        var recovered: Set<String> = []
    }

    /// A reconciler that knows nothing yet.
    public init(timing: ReportTiming = ReportTiming()) {
        outbox = Outbox(timing: timing)
    }

    /// The driver is about to be asked for all volumes. A sweep that was not ended is forgotten.
    public mutating func beginSweep() {
        sweep = Sweep()
    }

    /// The driver said something of a volume. A failed call is not a report and must not be made one (rule 1).
    public mutating func receive(_ report: VolumeHealthReport, at now: Duration) {
        if report.conditions.isEmpty {
            // Almost every report of almost every sweep ends here.
            if isKnownAdverse(report.volumeHandle) {
                sweep.recovered.insert(report.volumeHandle)
            }
            return
        }
        var merged =
            sweep.adverse[report.volumeHandle] ?? VolumeHealthReport(volumeHandle: report.volumeHandle, conditions: [])
        merged.merge(report.conditions)
        sweep.adverse[report.volumeHandle] = merged
        for claim in index.claims(ofVolumeHandle: report.volumeHandle) {
            outbox.set(merged.conditions, for: claim, volumeHandle: report.volumeHandle, at: now)
        }
    }

    /// The sweep is over. An incomplete one clears nothing (rule 2); a complete one clears what it said is well (rule 3).
    public mutating func endSweep(complete: Bool, at now: Duration) {
        if complete {
            for handle in sweep.recovered where sweep.adverse[handle] == nil {
                for claim in index.claims(ofVolumeHandle: handle) {
                    outbox.set([], for: claim, volumeHandle: handle, at: now)
                }
            }
        }
        sweep = Sweep()
        forgetOthersClaims()
    }

    /// What to tell now.
    public mutating func next(at now: Duration) -> ReportStep {
        while true {
            let step = outbox.next(at: now)
            guard case .tell(let announcement) = step else { return step }
            if isCurrent(announcement.claim, volumeHandle: announcement.volumeHandle) { return step }
            outbox.remove(claimUID: announcement.claim.uid)
        }
    }

    /// How telling it went.
    public mutating func settle(_ announcement: Announcement, _ outcome: ReportOutcome, at now: Duration) {
        outbox.settle(announcement, outcome, at: now)
    }

    private func isKnownAdverse(_ handle: String) -> Bool {
        !outbox.isEmpty && index.claims(ofVolumeHandle: handle).contains { outbox.contains(claimUID: $0.uid) }
    }

    /// Claims that were deleted, made anew or bound to another volume are told nothing any more (rule 11).
    private mutating func forgetOthersClaims() {
        for (claim, volumeHandle) in outbox.claims where !isCurrent(claim, volumeHandle: volumeHandle) {
            outbox.remove(claimUID: claim.uid)
        }
    }

    private func isCurrent(_ claim: Claim, volumeHandle: String) -> Bool {
        index.claims(ofVolumeHandle: volumeHandle).contains { $0.uid == claim.uid }
    }
}
