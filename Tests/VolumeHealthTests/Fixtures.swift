// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

@testable import VolumeHealth

extension Claim {
    static func named(_ name: String, in namespace: String = "default", uid: String? = nil) -> Claim {
        Claim(key: ClaimKey(namespace: namespace, name: name), uid: uid ?? "uid-\(name)", resourceVersion: "1")
    }
}

extension MonitoredVolume {
    /// The volume `pv-NAME` of a claim.
    static func of(_ claim: Claim, handle: String, secret: SecretName? = nil) -> MonitoredVolume {
        MonitoredVolume(
            name: "pv-\(claim.key.name)",
            handle: handle,
            claim: claim.key,
            claimUID: claim.uid,
            isBound: true,
            secret: secret
        )
    }
}

extension ClaimIndex {
    /// Adds a bound pair: volume `pv-NAME` and the claim that it belongs to.
    mutating func bind(_ claim: Claim, handle: String) {
        apply(.of(claim, handle: handle))
        apply(claim, volumeName: "pv-\(claim.key.name)")
    }

    func claims(ofVolumeHandle handle: String) -> [Claim] {
        number(ofVolumeHandle: handle).map { claims(of: $0).compactMap(claim) } ?? []
    }
}

extension VolumeState {
    static func abnormal(_ message: String) -> VolumeState {
        VolumeState([VolumeHealthCondition(abnormalMessage: message)])
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
    /// A bound pair, as the watches bring it.
    mutating func bind(
        _ claim: Claim,
        handle: String,
        healthStatus: [VolumeHealthCondition] = [],
        at now: Duration = .zero
    ) {
        apply(.of(claim, handle: handle), at: now)
        apply(claim, volumeName: "pv-\(claim.key.name)", healthStatus: healthStatus, at: now)
    }

    /// A sweep in which the driver says exactly this. Returns what it is to confirm.
    @discardableResult
    mutating func sweep(
        _ reports: [VolumeHealthReport],
        _ end: SweepEnd = .complete(.everyVolume, canConfirm: false),
        at now: Duration
    ) -> [String] {
        beginSweep(at: now)
        for report in reports {
            receive(report, at: now)
        }
        return endSweep(end, at: now)
    }

    /// Every event that is due now, each told successfully.
    mutating func tellAll(at now: Duration) -> [Announcement<ClaimNumber, VolumeState>] {
        var told: [Announcement<ClaimNumber, VolumeState>] = []
        while case .tell(let announcement) = nextEvent(at: now) {
            told.append(announcement)
            settle(event: announcement, .told, at: now)
        }
        return told
    }

    /// Every status that is due now, each written successfully.
    mutating func writeAll(at now: Duration) -> [Announcement<ClaimNumber, VolumeState>] {
        var written: [Announcement<ClaimNumber, VolumeState>] = []
        while case .tell(let announcement) = nextStatus(at: now) {
            written.append(announcement)
            settle(status: announcement, .told, at: now)
        }
        return written
    }

    /// Every event on an unknown condition that is due now, each told successfully.
    mutating func tellUnknowns(at now: Duration) -> [UnknownCondition] {
        var told: [UnknownCondition] = []
        while case .tell(let announcement) = nextUnknownEvent(at: now) {
            told.append(announcement.state.condition)
            settle(unknownEvent: announcement, .told, at: now)
        }
        return told
    }
}
