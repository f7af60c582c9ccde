// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which claims use a volume: the watched PersistentVolumes and PersistentVolumeClaims, reduced to what joins them.
///
/// A claim counts as a volume's only while all agree on it: the volume is of our driver and Bound, its claimRef names
/// the claim by uid, and the claim exists and names the volume. Everything is looked up when it is asked for, so the
/// two watches may deliver in any order, and a volume that is not yet Bound when it is first seen is found later.
///
/// Both halves are filled by a watch, in the same way: begin a relist, apply every object, end the relist, which drops
/// what was not among them; after that apply and remove one by one.
struct ClaimIndex: Sendable {
    private var volumes = Relistable<String, MonitoredVolume>()
    private var claims = Relistable<ClaimKey, ClaimRecord>()
    /// Only of claims that show one.
    private var healthStatuses: [String: [VolumeHealthCondition]] = [:]
    private var handles: [String: HandleRecord] = [:]

    private struct ClaimRecord {
        var claim: Claim
        var volumeName: String
    }

    /// What is known of a volume handle, as long as there is a volume with it.
    struct HandleRecord: Sendable {
        /// Almost every handle has one volume; two PersistentVolumes may share one. Sorted.
        fileprivate(set) var volumeNames: [String] = []
        var health = KnownHealth.unknown
        /// The number of the last sweep that listed it; 0: none of this process did.
        var lastListed: UInt32 = 0
        /// The driver did not have it when it was last asked, and nothing confirms that yet.
        var isMissing = false
    }

    /// The claims that use the volume with this handle, in the order of their volumes' names.
    func claims(ofVolumeHandle handle: String) -> [Claim] {
        guard let names = handles[handle]?.volumeNames else { return [] }
        return names.compactMap { name in volumes[name].flatMap(claim(of:)) }
    }

    /// The volume that a claim uses, when it is one of our driver's.
    func volumeHandle(of claim: Claim) -> String? {
        guard let record = claims[claim.key], let volume = volumes[record.volumeName] else { return nil }
        return self.claim(of: volume)?.uid == claim.uid ? volume.handle : nil
    }

    /// The claim of this name, when it uses a volume of our driver's.
    func claim(at key: ClaimKey) -> Claim? {
        claims[key].flatMap { volumes[$0.volumeName] }.flatMap(claim(of:))
    }

    /// The claim as it is now, whatever volume it has; nil when it is gone, or another one has its name.
    func latest(_ claim: Claim) -> Claim? {
        claims[claim.key].flatMap { $0.claim.uid == claim.uid ? $0.claim : nil }
    }

    /// The claim of this name as it is now, whatever volume it has.
    func latest(at key: ClaimKey) -> Claim? {
        claims[key]?.claim
    }

    /// What the claim's `status.healthStatus` says; empty when there is none.
    func healthStatus(ofClaimUID uid: String) -> [VolumeHealthCondition] {
        healthStatuses[uid] ?? []
    }

    /// The Secret that the volume with this handle refers to.
    func secret(ofVolumeHandle handle: String) -> SecretName? {
        handles[handle]?.volumeNames.lazy.compactMap { volumes[$0]?.secret }.first
    }

    /// The Secret that all volumes refer to; nil when one has none, or they have several.
    var commonSecret: SecretName? {
        let secrets = Set(volumes.values.lazy.map(\.secret))
        return secrets.count == 1 ? secrets.first ?? nil : nil
    }

    private func claim(of volume: MonitoredVolume) -> Claim? {
        guard volume.isBound, let key = volume.claim, let record = claims[key] else { return nil }
        guard record.claim.uid == volume.claimUID, record.volumeName == volume.name else { return nil }
        return record.claim
    }
}

// MARK: Handles

extension ClaimIndex {
    /// What is known of a handle; nil when there is no volume with it.
    func record(ofVolumeHandle handle: String) -> HandleRecord? {
        handles[handle]
    }

    /// Changes what is known of a handle.
    mutating func update(_ handle: String, _ change: (inout HandleRecord) -> Void) {
        if let position = handles.index(forKey: handle) {
            change(&handles.values[position])
        }
    }

    /// How many handles are in which health.
    var healthCounts: [KnownHealth: Int] {
        handles.values.reduce(into: [:]) { $0[$1.health, default: 0] += 1 }
    }

    /// Whether any claim shows a status.
    var hasHealthStatuses: Bool { !healthStatuses.isEmpty }

    /// Claims of our driver's volumes that show a status.
    var claimsWithHealthStatus: [Claim] {
        claims.values.filter { healthStatuses[$0.claim.uid] != nil && volumeHandle(of: $0.claim) != nil }.map(\.claim)
    }

    /// Handles whose record passes the test.
    func handles(where isIncluded: (HandleRecord) -> Bool) -> [String] {
        handles.compactMap { isIncluded($0.value) ? $0.key : nil }
    }

    /// Another way of asking begins: what the last one listed and missed says nothing of the next.
    mutating func forgetListings() {
        for position in handles.indices {
            handles.values[position].lastListed = 0
            handles.values[position].isMissing = false
        }
    }
}

// MARK: Volumes

extension ClaimIndex {
    /// A new list of volumes begins. What is known stays in use until the list is complete.
    mutating func beginVolumeRelist() {
        volumes.beginRelist()
    }

    /// The list of volumes is complete: forgets every volume that was not in it.
    mutating func endVolumeRelist() {
        for volume in volumes.endRelist() {
            unlink(volume)
        }
    }

    /// A volume was listed, added or modified.
    mutating func apply(_ volume: MonitoredVolume) {
        let previous = volumes.update(volume, for: volume.name)
        if let previous, previous.handle == volume.handle { return }
        if let previous { unlink(previous) }
        handles[volume.handle, default: HandleRecord()].volumeNames.append(volume.name)
        handles[volume.handle]?.volumeNames.sort()
    }

    /// A volume was deleted, or turned out to be none of our driver's.
    mutating func removeVolume(named name: String) {
        if let volume = volumes.remove(name) {
            unlink(volume)
        }
    }

    func volume(named name: String) -> MonitoredVolume? {
        volumes[name]
    }

    private mutating func unlink(_ volume: MonitoredVolume) {
        handles[volume.handle]?.volumeNames.removeAll { $0 == volume.name }
        if handles[volume.handle]?.volumeNames.isEmpty == true {
            handles[volume.handle] = nil
        }
    }
}

// MARK: Claims

extension ClaimIndex {
    /// A new list of claims begins. What is known stays in use until the list is complete.
    mutating func beginClaimRelist() {
        claims.beginRelist()
    }

    /// The list of claims is complete: forgets every claim that was not in it.
    mutating func endClaimRelist() {
        for record in claims.endRelist() {
            forgetHealthStatus(of: record.claim)
        }
    }

    /// A claim was listed, added or modified.
    ///
    /// - Parameters:
    ///   - volumeName: `spec.volumeName`, empty until the claim is bound.
    ///   - healthStatus: `status.healthStatus`.
    mutating func apply(_ claim: Claim, volumeName: String, healthStatus: [VolumeHealthCondition] = []) {
        let previous = claims.update(ClaimRecord(claim: claim, volumeName: volumeName), for: claim.key)
        if let previous, previous.claim.uid != claim.uid { healthStatuses[previous.claim.uid] = nil }
        healthStatuses[claim.uid] = healthStatus.isEmpty ? nil : healthStatus
    }

    /// A claim was deleted.
    mutating func removeClaim(_ key: ClaimKey) {
        if let record = claims.remove(key) {
            forgetHealthStatus(of: record.claim)
        }
    }

    private mutating func forgetHealthStatus(of claim: Claim) {
        if claims[claim.key]?.claim.uid != claim.uid { healthStatuses[claim.uid] = nil }
    }
}
