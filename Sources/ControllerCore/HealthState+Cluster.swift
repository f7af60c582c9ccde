// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The input of the watches of PersistentVolumes and PersistentVolumeClaims. For each of the two: begin a relist, apply
/// every object, end the relist; then apply and remove single objects.
extension HealthState {
    /// A new list of volumes begins.
    package mutating func beginVolumeRelist() {
        index.beginVolumeRelist()
    }

    /// The list of volumes is complete: volumes that were not in it are gone.
    package mutating func endVolumeRelist(at now: Duration) {
        index.endVolumeRelist()
        releaseUnused(at: now)
    }

    /// A volume of the monitored driver was listed, added or modified.
    package mutating func apply(_ volume: MonitoredVolume, at now: Duration) {
        let before = claims(ofVolumeNamed: volume.name)
        index.apply(volume)
        if !before.isEmpty { release(before, unless: claims(ofVolumeNamed: volume.name), at: now) }
        probe(volume.handle, at: now)
    }

    /// A volume was deleted, or belongs to another driver.
    package mutating func removeVolume(named name: String, at now: Duration) {
        let before = claims(ofVolumeNamed: name)
        index.removeVolume(named: name)
        release(before, unless: [], at: now)
    }

    /// A new list of claims begins.
    package mutating func beginClaimRelist() {
        index.beginClaimRelist()
    }

    /// The list of claims is complete: claims that were not in it are gone.
    package mutating func endClaimRelist(at now: Duration) {
        for claim in index.endClaimRelist() { forget(claim) }
        releaseUnused(at: now)
    }

    /// A claim was listed, added or modified.
    ///
    /// - Parameters:
    ///   - volumeName: `spec.volumeName`, empty until the claim is bound.
    ///   - healthStatus: the conditions of `status.healthStatus`.
    ///   - healthTransition: `status.healthStatus.lastTransitionTime`, in seconds since 1970; 0: none.
    ///   - condition: the condition of type ``ClaimCondition/type`` in `status.conditions`.
    package mutating func apply(
        _ claim: Claim,
        volumeName: String,
        healthStatus: [VolumeHealthCondition] = [],
        healthTransition: Int64 = 0,
        condition: ShownCondition? = nil,
        at now: Duration
    ) {
        let before = index.number(at: claim.key)
        // The response to a write may be ahead of the watch.
        if let before, index.isKnownNewer(before, than: claim) { return }
        let isReplaced = before.map { index.uid(of: $0) != claim.uid } ?? true
        if isReplaced, let before { forget(before) }
        let wasMonitored = !isReplaced && (before.map(index.hasVolume) ?? false)
        // Equal states share one copy.
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
        if wasMonitored, !index.hasVolume(number) { release(number, at: now) }
        observeStatus(of: number, at: now)
        if probesEveryVolume, let handle = index.volumeHandle(of: number) { probe(handle, at: now) }
    }

    /// A claim's status was written, and the API server returned the claim.
    package mutating func written(
        _ claim: Claim,
        volumeName: String,
        healthStatus: [VolumeHealthCondition],
        healthTransition: Int64 = 0,
        condition: ShownCondition? = nil,
        at now: Duration
    ) {
        // The claim may have been deleted or changed again meanwhile: then the watch is ahead.
        guard let latest = index.number(at: claim.key).flatMap(index.claim), latest.uid == claim.uid,
            !latest.isNewer(than: claim)
        else { return }
        apply(
            claim,
            volumeName: volumeName,
            healthStatus: healthStatus,
            healthTransition: healthTransition,
            condition: condition,
            at: now
        )
    }

    /// A claim was deleted.
    package mutating func removeClaim(_ key: ClaimKey, at now: Duration) {
        guard let claim = index.number(at: key) else { return }
        index.removeClaim(key)
        forget(claim)
    }

    /// The claim with this key; nil when it uses no volume of the monitored driver.
    package func claim(at key: ClaimKey) -> Claim? {
        index.claim(at: key)
    }

    /// Whether there is a claim with this key and uid, whichever volume it has.
    package func hasClaim(at key: ClaimKey, uid: String) -> Bool {
        index.number(at: key).map { index.uid(of: $0) == uid } ?? false
    }

    /// The Secret to send with calls for this volume.
    package func secret(ofVolumeHandle handle: String) -> SecretName? {
        index.secret(ofVolumeHandle: handle)
    }

    /// The Secret that all volumes refer to; nil when one refers to none, or they refer to several.
    package var commonSecret: SecretName? {
        index.commonSecret
    }

    private func claims(ofVolumeNamed name: String) -> [ClaimNumber] {
        index.number(ofHandleOfVolumeNamed: name).map(index.claims(of:)) ?? []
    }

    /// Schedules the probe of a new volume, at once.
    private mutating func probe(_ handle: String, at now: Duration) {
        if probesEveryVolume, index.hasClaim(ofVolumeHandle: handle) { probes?.add(handle, at: now) }
    }

    private mutating func release(_ before: [ClaimNumber], unless after: [ClaimNumber], at now: Duration) {
        // Two volumes may name the claim: it is released when neither does any more.
        for claim in before where !after.contains(claim) && !index.hasVolume(claim) {
            release(claim, at: now)
        }
    }

    /// Releases every claim with reports that uses no volume of the monitored driver any more.
    private mutating func releaseUnused(at now: Duration) {
        let reported =
            Array(events.keys) + Array(statuses.keys) + Array(responses.keys) + Array(unknownFingerprints.keys)
            + Array(holds.keys) + Array(flaps.keys)
        for claim in reported where !index.hasVolume(claim) {
            release(claim, at: now)
        }
    }

    /// The claim uses no volume of the monitored driver any more: nothing is reported on it (rule 11), and its status
    /// is cleared.
    private mutating func release(_ claim: ClaimNumber, at now: Duration) {
        events.remove(claim)
        responses.remove(claim)
        removeHeldBack(on: claim)
        removeUnknowns(of: claim)
        reportedBefore[claim] = nil
        unhealthyBefore[claim] = nil
        if !isStandby { setStatus(.clear, for: claim, at: now) }
    }

    /// The claim is gone, or another claim has its name: its number may be reused.
    private mutating func forget(_ claim: ClaimNumber) {
        events.remove(claim)
        responses.remove(claim)
        removeHeldBack(on: claim)
        removeUnknowns(of: claim)
        reportedBefore[claim] = nil
        unhealthyBefore[claim] = nil
        statuses.remove(claim)
    }

    private mutating func removeUnknowns(of claim: ClaimNumber) {
        for fingerprint in unknownFingerprints.removeValue(forKey: claim) ?? [] {
            unknowns.remove(UnknownConditionKey(claim: claim, fingerprint: fingerprint))
        }
    }
}
