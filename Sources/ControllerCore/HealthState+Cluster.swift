// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What the watches of PersistentVolumes and PersistentVolumeClaims say. Each half: begin a relist, apply every object,
/// end the relist; after that apply and remove one by one.
extension HealthState {
    /// A new list of volumes begins.
    package mutating func beginVolumeRelist() {
        index.beginVolumeRelist()
    }

    /// The list of volumes is complete: what was not in it is gone.
    package mutating func endVolumeRelist(at now: Duration) {
        index.endVolumeRelist()
        releaseOthers(at: now)
    }

    /// A volume of our driver was listed, added or modified.
    package mutating func apply(_ volume: MonitoredVolume, at now: Duration) {
        let before = claims(ofVolumeNamed: volume.name)
        index.apply(volume)
        if !before.isEmpty { release(before, unless: claims(ofVolumeNamed: volume.name), at: now) }
        probe(volume.handle, at: now)
    }

    /// A volume was deleted, or is none of our driver's.
    package mutating func removeVolume(named name: String, at now: Duration) {
        let before = claims(ofVolumeNamed: name)
        index.removeVolume(named: name)
        release(before, unless: [], at: now)
    }

    /// A new list of claims begins.
    package mutating func beginClaimRelist() {
        index.beginClaimRelist()
    }

    /// The list of claims is complete: what was not in it is gone.
    package mutating func endClaimRelist(at now: Duration) {
        for claim in index.endClaimRelist() { forget(claim) }
        releaseOthers(at: now)
    }

    /// A claim was listed, added or modified.
    ///
    /// - Parameters:
    ///   - volumeName: `spec.volumeName`, empty until the claim is bound.
    ///   - healthStatus: the conditions of `status.healthStatus`.
    ///   - healthTransition: `status.healthStatus.lastTransitionTime`, in seconds since 1970; 0: none.
    ///   - condition: that of type ``ClaimCondition/type`` in `status.conditions`.
    package mutating func apply(
        _ claim: Claim,
        volumeName: String,
        healthStatus: [VolumeHealthCondition] = [],
        healthTransition: Int64 = 0,
        condition: ShownCondition? = nil,
        at now: Duration
    ) {
        let before = index.number(at: claim.key)
        // What came with the reply to a write may be ahead of the watch.
        if let before, index.isKnownNewer(before, than: claim) { return }
        let isOther = before.map { index.uid(of: $0) != claim.uid } ?? true
        if isOther, let before { forget(before) }
        let wasOurs = !isOther && (before.map(index.hasVolume) ?? false)
        // Of equal states one is kept.
        let observed = VolumeState(healthStatus)
        let known = before.flatMap(statuses.current)
        let shown = known == observed ? known ?? observed : observed
        let number = index.apply(
            claim,
            volumeName: volumeName,
            healthStatus: shown,
            healthTransition: healthTransition,
            condition: condition
        )
        if wasOurs, !index.hasVolume(number) { release(number, at: now) }
        observeStatus(of: number, at: now)
        if probesEveryVolume, let handle = index.volumeHandle(of: number) { probe(handle, at: now) }
    }

    /// A claim's status was written, and the API server gave the claim back.
    package mutating func written(
        _ claim: Claim,
        volumeName: String,
        healthStatus: [VolumeHealthCondition],
        condition: ShownCondition? = nil,
        at now: Duration
    ) {
        // It may have been deleted or changed again meanwhile; the watch knows better.
        guard let latest = index.number(at: claim.key).flatMap(index.claim), latest.uid == claim.uid,
            !latest.isNewer(than: claim)
        else { return }
        apply(claim, volumeName: volumeName, healthStatus: healthStatus, condition: condition, at: now)
    }

    /// A claim was deleted.
    package mutating func removeClaim(_ key: ClaimKey, at now: Duration) {
        guard let claim = index.number(at: key) else { return }
        index.removeClaim(key)
        forget(claim)
    }

    /// The claim of this name, when it uses a volume of our driver's.
    package func claim(at key: ClaimKey) -> Claim? {
        index.claim(at: key)
    }

    /// The Secret that the driver wants with calls on this volume.
    package func secret(ofVolumeHandle handle: String) -> SecretName? {
        index.secret(ofVolumeHandle: handle)
    }

    /// The Secret that all volumes refer to; nil when one has none, or they have several.
    package var commonSecret: SecretName? {
        index.commonSecret
    }

    private func claims(ofVolumeNamed name: String) -> [ClaimNumber] {
        index.number(ofHandleOfVolumeNamed: name).map(index.claims(of:)) ?? []
    }

    /// New volumes are asked for at once.
    private mutating func probe(_ handle: String, at now: Duration) {
        if probesEveryVolume, index.hasClaim(ofVolumeHandle: handle) { probes?.add(handle, at: now) }
    }

    private mutating func release(_ before: [ClaimNumber], unless after: [ClaimNumber], at now: Duration) {
        // Two volumes may claim to be the claim's; it is released when it is nobody's.
        for claim in before where !after.contains(claim) && !index.hasVolume(claim) {
            release(claim, at: now)
        }
    }

    /// Everybody who was reported something and has no volume of ours any more.
    private mutating func releaseOthers(at now: Duration) {
        let reported =
            Array(events.keys) + Array(statuses.keys) + Array(responses.keys) + Array(unknownFingerprints.keys)
        for claim in reported where !index.hasVolume(claim) {
            release(claim, at: now)
        }
    }

    /// The claim has no volume of ours any more: nothing is reported of it (rule 11), and what stands in its status is
    /// cleared.
    private mutating func release(_ claim: ClaimNumber, at now: Duration) {
        events.remove(claim)
        responses.remove(claim)
        removeUnknowns(of: claim)
        if !isStandby { setStatus(.clear, for: claim, at: now) }
    }

    /// The claim is gone, or another one has its name: its number is another's from now on.
    private mutating func forget(_ claim: ClaimNumber) {
        events.remove(claim)
        responses.remove(claim)
        removeUnknowns(of: claim)
        statuses.remove(claim)
    }

    private mutating func removeUnknowns(of claim: ClaimNumber) {
        for fingerprint in unknownFingerprints.removeValue(forKey: claim) ?? [] {
            unknowns.remove(UnknownConditionKey(claim: claim, fingerprint: fingerprint))
        }
    }
}
