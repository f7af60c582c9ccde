// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

@testable import VolumeHealth

extension Claim {
    static func named(_ name: String, uid: String? = nil) -> Claim {
        Claim(key: ClaimKey(namespace: "default", name: name), uid: uid ?? "uid-\(name)", resourceVersion: "1")
    }
}

extension ClaimIndex {
    /// Adds a bound pair: volume `pv-NAME` and the claim that it belongs to.
    mutating func bind(_ claim: Claim, handle: String) {
        let volume = Volume(
            name: "pv-\(claim.key.name)",
            handle: handle,
            claim: claim.key,
            claimUID: claim.uid,
            isBound: true
        )
        apply(volume)
        apply(claim, volumeName: volume.name)
    }
}

extension VolumeHealthReport {
    static func healthy(_ handle: String) -> VolumeHealthReport {
        VolumeHealthReport(volumeHandle: handle, conditions: [])
    }

    static func abnormal(_ handle: String, _ message: String = "broken") -> VolumeHealthReport {
        VolumeHealthReport(volumeHandle: handle, conditions: [VolumeHealthCondition(abnormalMessage: message)])
    }
}

extension Reconciler {
    /// A sweep in which the driver says exactly this.
    mutating func sweep(_ reports: [VolumeHealthReport], complete: Bool = true, at now: Duration) {
        beginSweep()
        for report in reports {
            receive(report, at: now)
        }
        endSweep(complete: complete, at: now)
    }

    /// Everything that is due now, each told successfully.
    mutating func tellAll(at now: Duration) -> [Announcement] {
        var told: [Announcement] = []
        while case .tell(let announcement) = next(at: now) {
            told.append(announcement)
            settle(announcement, .told, at: now)
        }
        return told
    }
}
