// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What the watches of PersistentVolumes and PersistentVolumeClaims say. Each half: begin a relist, apply every object,
/// end the relist; after that apply and remove one by one.
extension Reconciler {
    /// A new list of volumes begins.
    public mutating func beginVolumeRelist() {
        index.beginVolumeRelist()
    }

    /// The list of volumes is complete: what was not in it is gone.
    public mutating func endVolumeRelist(at now: Duration) {
        index.endVolumeRelist()
        releaseOthers(at: now)
    }

    /// A volume of our driver was listed, added or modified.
    public mutating func apply(_ volume: MonitoredVolume, at now: Duration) {
        let before = claims(ofVolumeNamed: volume.name)
        index.apply(volume)
        release(before, unless: index.claims(ofVolumeHandle: volume.handle), at: now)
        probe(volume.handle, at: now)
    }

    /// A volume was deleted, or is none of our driver's.
    public mutating func removeVolume(named name: String, at now: Duration) {
        let before = claims(ofVolumeNamed: name)
        index.removeVolume(named: name)
        release(before, unless: [], at: now)
    }

    /// A new list of claims begins.
    public mutating func beginClaimRelist() {
        index.beginClaimRelist()
    }

    /// The list of claims is complete: what was not in it is gone.
    public mutating func endClaimRelist(at now: Duration) {
        index.endClaimRelist()
        releaseOthers(at: now)
    }

    /// A claim was listed, added or modified.
    ///
    /// - Parameters:
    ///   - volumeName: `spec.volumeName`, empty until the claim is bound.
    ///   - healthStatus: the conditions of `status.healthStatus`.
    public mutating func apply(
        _ claim: Claim,
        volumeName: String,
        healthStatus: [VolumeHealthCondition] = [],
        at now: Duration
    ) {
        let before = index.claim(at: claim.key)
        index.apply(claim, volumeName: volumeName, healthStatus: healthStatus)
        release(before.map { [$0] } ?? [], unless: index.claim(at: claim.key).map { [$0] } ?? [], at: now)
        if statuses.contains(claim.uid) {
            observeStatus(healthStatus, of: claim, at: now)
        }
        if probes != nil, let handle = index.volumeHandle(of: claim) { probe(handle, at: now) }
    }

    /// A claim's status was written, and the API server gave the claim back.
    public mutating func written(
        _ claim: Claim,
        volumeName: String,
        healthStatus: [VolumeHealthCondition],
        at now: Duration
    ) {
        // It may have been deleted or changed again meanwhile; the watch knows better.
        guard let latest = index.latest(claim), !latest.isNewer(than: claim) else { return }
        apply(claim, volumeName: volumeName, healthStatus: healthStatus, at: now)
    }

    /// A claim was deleted.
    public mutating func removeClaim(_ key: ClaimKey, at now: Duration) {
        guard let claim = index.latest(at: key) else { return }
        index.removeClaim(key)
        release(claim, at: now)
    }

    /// The claim of this name, when it uses a volume of our driver's.
    public func claim(at key: ClaimKey) -> Claim? {
        index.claim(at: key)
    }

    /// The Secret that the driver wants with calls on this volume.
    public func secret(ofVolumeHandle handle: String) -> SecretName? {
        index.secret(ofVolumeHandle: handle)
    }

    /// The Secret that all volumes refer to; nil when one has none, or they have several.
    public var commonSecret: SecretName? {
        index.commonSecret
    }

    private func claims(ofVolumeNamed name: String) -> [Claim] {
        index.handle(ofVolumeNamed: name).map(index.claims(ofVolumeHandle:)) ?? []
    }

    /// New volumes are asked for at once.
    private mutating func probe(_ handle: String, at now: Duration) {
        if probes != nil, index.hasClaim(ofVolumeHandle: handle) { probes?.add(handle, at: now) }
    }

    private mutating func release(_ before: [Claim], unless after: [Claim], at now: Duration) {
        for claim in before where !after.contains(where: { $0.uid == claim.uid }) {
            // Two volumes may claim to be the claim's; it is released when it is nobody's.
            if index.volumeHandle(of: claim) == nil { release(claim, at: now) }
        }
    }

    /// Everybody who was told something and has no volume of ours any more.
    private mutating func releaseOthers(at now: Duration) {
        let others = [events, statuses].flatMap { $0.claims.filter { index.volumeHandle(of: $0) == nil } }
        for claim in others {
            release(claim, at: now)
        }
        for (key, claim) in unknowns.keysAndClaims where index.volumeHandle(of: claim) == nil {
            unknowns.remove(key)
        }
    }

    /// The claim has no volume of ours any more: nothing is told of it (rule 11), and what stands in its status is
    /// cleared when it is still the same claim.
    private mutating func release(_ claim: Claim, at now: Duration) {
        events.remove(claim.uid)
        for (key, other) in unknowns.keysAndClaims where other.uid == claim.uid {
            unknowns.remove(key)
        }
        if let latest = index.latest(claim) {
            setStatus([], for: latest, at: now)
        } else {
            statuses.remove(claim.uid)
        }
    }
}
