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
public struct ClaimIndex: Sendable {
    /// The fields of a PersistentVolume that matter here.
    public struct Volume: Sendable, Hashable {
        /// `metadata.name`
        public var name: String
        /// `spec.csi.volumeHandle`
        public var handle: String
        /// `spec.claimRef`; nil while the volume is free.
        public var claim: ClaimKey?
        /// `spec.claimRef.uid`; empty while a pre-bound volume waits for its claim.
        public var claimUID: String
        /// `status.phase` is Bound.
        public var isBound: Bool

        /// Describes a volume.
        public init(name: String, handle: String, claim: ClaimKey?, claimUID: String, isBound: Bool) {
            self.name = name
            self.handle = handle
            self.claim = claim
            self.claimUID = claimUID
            self.isBound = isBound
        }
    }

    private var volumes = Relistable<String, Volume>()
    private var claims = Relistable<ClaimKey, ClaimRecord>()
    /// Almost every handle has one volume; two PersistentVolumes may share one.
    private var volumeNames: [String: [String]] = [:]

    private struct ClaimRecord {
        var claim: Claim
        var volumeName: String
    }

    /// An empty index.
    public init() {}

    /// The claims that use the volume with this handle, in the order of their volumes' names.
    public func claims(ofVolumeHandle handle: String) -> [Claim] {
        guard let names = volumeNames[handle] else { return [] }
        return names.compactMap { name in volumes[name].flatMap(claim(of:)) }
    }

    private func claim(of volume: Volume) -> Claim? {
        guard volume.isBound, let key = volume.claim, let record = claims[key] else { return nil }
        guard record.claim.uid == volume.claimUID, record.volumeName == volume.name else { return nil }
        return record.claim
    }
}

// MARK: Volumes

extension ClaimIndex {
    /// A new list of volumes begins. What is known stays in use until the list is complete.
    public mutating func beginVolumeRelist() {
        volumes.beginRelist()
    }

    /// The list of volumes is complete: forgets every volume that was not in it.
    public mutating func endVolumeRelist() {
        for volume in volumes.endRelist() {
            unlink(volume)
        }
    }

    /// A volume was listed, added or modified.
    public mutating func apply(_ volume: Volume) {
        let previous = volumes.update(volume, for: volume.name)
        if let previous, previous.handle == volume.handle { return }
        if let previous { unlink(previous) }
        volumeNames[volume.handle, default: []].append(volume.name)
        volumeNames[volume.handle]?.sort()
    }

    /// A volume was deleted, or turned out to be none of our driver's.
    public mutating func removeVolume(named name: String) {
        if let volume = volumes.remove(name) {
            unlink(volume)
        }
    }

    private mutating func unlink(_ volume: Volume) {
        volumeNames[volume.handle]?.removeAll { $0 == volume.name }
        if volumeNames[volume.handle]?.isEmpty == true {
            volumeNames[volume.handle] = nil
        }
    }
}

// MARK: Claims

extension ClaimIndex {
    /// A new list of claims begins. What is known stays in use until the list is complete.
    public mutating func beginClaimRelist() {
        claims.beginRelist()
    }

    /// The list of claims is complete: forgets every claim that was not in it.
    public mutating func endClaimRelist() {
        _ = claims.endRelist()
    }

    /// A claim was listed, added or modified. `volumeName` is its `spec.volumeName`, empty until it is bound.
    public mutating func apply(_ claim: Claim, volumeName: String) {
        claims.update(ClaimRecord(claim: claim, volumeName: volumeName), for: claim.key)
    }

    /// A claim was deleted.
    public mutating func removeClaim(_ key: ClaimKey) {
        claims.remove(key)
    }
}
