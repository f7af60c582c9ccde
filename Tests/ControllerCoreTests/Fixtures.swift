// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

@testable import ControllerCore
@testable import HealthCore

extension NextStep {
    /// nil: nothing is due.
    var job: Job? { if case .run(let job) = self { job } else { nil } }
}

extension ReportOutcome {
    /// The connection broke after the request was sent.
    static let responseLost = ReportOutcome.failed(RequestFailure(isUncertain: true))
}

extension Claim {
    static func named(_ name: String, in namespace: String = "default", uid: String? = nil) -> Claim {
        Claim(key: ClaimKey(namespace: namespace, name: name), uid: uid ?? "uid-\(name)", resourceVersion: "1")
    }
}

extension MonitoredVolume {
    /// The volume `pv-NAME`, bound to the claim.
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
    /// Adds a bound pair: the volume `pv-NAME` and its claim.
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

extension HealthState {
    /// Adds a bound pair, as the watches deliver it.
    mutating func bind(
        _ claim: Claim,
        handle: String,
        healthStatus: [VolumeHealthCondition] = [],
        at now: Duration = .zero
    ) {
        apply(.of(claim, handle: handle), at: now)
        apply(claim, volumeName: "pv-\(claim.key.name)", healthStatus: healthStatus, at: now)
    }

    /// Runs a sweep in which the driver returns these reports. Returns the volumes to confirm by a call.
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

    /// Completes every event that is due now as reported, and returns them.
    mutating func reportAll(at now: Duration) -> [PendingReport<ClaimNumber, VolumeState, Claim>] {
        var reported: [PendingReport<ClaimNumber, VolumeState, Claim>] = []
        while case .run(let pendingReport) = nextEvent(at: now) {
            reported.append(pendingReport)
            complete(event: pendingReport, .reported, at: now)
        }
        return reported
    }

    /// Completes every status that is due now as written, and returns them.
    mutating func writeAll(at now: Duration) -> [PendingReport<ClaimNumber, VolumeState, Claim>] {
        var written: [PendingReport<ClaimNumber, VolumeState, Claim>] = []
        while case .run(let pendingReport) = nextStatus(at: now) {
            written.append(pendingReport)
            complete(status: pendingReport, .reported, at: now)
        }
        return written
    }

    /// Completes every event about an unknown condition that is due now as reported, and returns the conditions.
    mutating func reportUnknowns(at now: Duration) -> [UnknownCondition] {
        var reported: [UnknownCondition] = []
        while case .run(let pendingReport) = nextUnknownEvent(at: now) {
            reported.append(pendingReport.state)
            complete(unknownEvent: pendingReport, .reported, at: now)
        }
        return reported
    }
}
