// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CompactStorage
import HealthCore

// MARK: Volumes

extension ClaimIndex {
    /// A new list of volumes begins. Until it is complete, what is known stays in use.
    mutating func beginVolumeRelist() {
        volumeGeneration &+= 1
    }

    /// The list of volumes is complete: forgets every volume that was not in it.
    mutating func endVolumeRelist() {
        for position in volumes.positions where volumes[position].generation != volumeGeneration {
            removeVolume(at: position)
        }
        reclaimTexts()
    }

    /// A volume was listed, added or modified.
    mutating func apply(_ volume: MonitoredVolume) {
        let placement = volume.placement.text
        var record = VolumeRecord(
            key: texts.insert(volume.name),
            handle: texts.insert(volume.handle),
            claim: volume.claim.map { texts.insert(Self.text($0)) } ?? .none,
            claimUID: texts.insert(volume.claimUID),
            secret: volume.secret.map { texts.insert("\($0.namespace)/\($0.name)") } ?? .none,
            placement: placement.isEmpty ? .none : texts.insert(placement),
            generation: volumeGeneration,
            isBound: volume.isBound,
            isOfOtherNode: volume.isOfOtherNode
        )
        if let position = volumes.position(of: record.key) {
            let previous = volumes[position]
            if previous.handle == record.handle {
                record.nextOfHandle = previous.nextOfHandle
                volumesOfOtherNodes += (record.isOfOtherNode ? 1 : 0) - (previous.isOfOtherNode ? 1 : 0)
                if previous.claimUID != record.claimUID || previous.secret != record.secret
                    || previous.placement != record.placement
                {
                    abandonedRecords += 1
                }
                volumes[position] = record
                return
            }
            removeVolume(at: position)
        }
        if handles[record.handle] == nil { handles.insert(HandleEntry(key: record.handle)) }
        if let handle = handles.position(of: record.handle) {
            record.nextOfHandle = handles[handle].firstVolume
            handles[handle].firstVolume = record.key
        }
        volumes.insert(record)
        if record.isOfOtherNode { volumesOfOtherNodes += 1 }
        reclaimTexts()
    }

    /// A volume was deleted, or belongs to another driver.
    mutating func removeVolume(named name: String) {
        guard let position = texts.key(of: name).flatMap({ volumes.position(of: $0) }) else { return }
        removeVolume(at: position)
        reclaimTexts()
    }

    private mutating func removeVolume(at position: Int) {
        let volume = volumes[position]
        volumes.remove(at: position)
        if volume.isOfOtherNode { volumesOfOtherNodes -= 1 }
        abandonedRecords += 1
        guard let handle = handles.position(of: volume.handle) else { return }
        if handles[handle].firstVolume == volume.key {
            handles[handle].firstVolume = volume.nextOfHandle
            if volume.nextOfHandle == .none { handles.remove(at: handle) }
            return
        }
        var previous = volumes.position(of: handles[handle].firstVolume)
        while let other = previous {
            if volumes[other].nextOfHandle == volume.key {
                volumes[other].nextOfHandle = volume.nextOfHandle
                return
            }
            previous = volumes.position(of: volumes[other].nextOfHandle)
        }
    }
}

// MARK: Claims

extension ClaimIndex {
    /// A new list of claims begins. Until it is complete, what is known stays in use.
    mutating func beginClaimRelist() {
        claimGeneration &+= 1
    }

    /// The list of claims is complete: forgets every claim that was not in it, and returns their numbers.
    @discardableResult
    mutating func endClaimRelist() -> [ClaimNumber] {
        let gone = claims.positions.filter { claims[$0].generation != claimGeneration }
        for position in gone {
            removeClaim(at: position)
        }
        reclaimTexts()
        return gone.map(ClaimNumber.init)
    }

    /// A claim was listed, added or modified. Returns its number.
    ///
    /// - Parameters:
    ///   - volumeName: `spec.volumeName`, empty until the claim is bound.
    ///   - healthStatus: `status.healthStatus`.
    ///   - healthTransition: `status.healthStatus.lastTransitionTime`, in seconds since 1970.
    ///   - condition: the condition of type ``ClaimCondition/type`` in `status.conditions`.
    @discardableResult
    mutating func apply(
        _ claim: Claim,
        volumeName: String,
        healthStatus: VolumeState = .clear,
        healthTransition: Int64 = 0,
        condition: ShownCondition? = nil
    ) -> ClaimNumber {
        let record = ClaimRecord(
            key: texts.insert(Self.text(claim.key)),
            uid: texts.insert(claim.uid),
            volumeName: texts.insert(volumeName),
            generation: claimGeneration,
            version: version(claim.resourceVersion)
        )
        let number: ClaimNumber
        if let position = claims.position(of: record.key) {
            if claims[position].uid != record.uid { abandonedRecords += 1 }
            claims[position] = record
            number = ClaimNumber(position)
        } else {
            number = ClaimNumber(claims.insert(record))
        }
        if !healthStatus.isClear || !healthStatuses.isEmpty {
            healthStatuses[number] = healthStatus.isClear ? nil : healthStatus
            healthTransitions[number] = healthStatus.isClear || healthTransition <= 0 ? nil : healthTransition
        }
        set(condition, of: number)
        reclaimTexts()
        return number
    }

    /// Whether the known version of the claim is newer than this one. A new list replaces even a newer version: an API
    /// server that was restored from a backup has older versions.
    func isKnownNewer(_ number: ClaimNumber, than claim: Claim) -> Bool {
        guard claims[number.position].generation == claimGeneration, let known = self.claim(number) else {
            return false
        }
        return known.uid == claim.uid && known.isNewer(than: claim)
    }

    /// A claim was deleted.
    mutating func removeClaim(_ key: ClaimKey) {
        guard let position = texts.key(of: Self.text(key)).flatMap({ claims.position(of: $0) }) else { return }
        removeClaim(at: position)
        reclaimTexts()
    }

    private mutating func set(_ condition: ShownCondition?, of claim: ClaimNumber) {
        if condition == nil, conditions.isEmpty { return }
        if conditions[claim]?.isHealthy == true { healthyConditions -= 1 }
        if condition?.isHealthy == true { healthyConditions += 1 }
        conditions[claim] = condition
    }

    private mutating func removeClaim(at position: Int) {
        healthStatuses[ClaimNumber(position)] = nil
        if !healthTransitions.isEmpty { healthTransitions[ClaimNumber(position)] = nil }
        set(nil, of: ClaimNumber(position))
        claims.remove(at: position)
        abandonedRecords += 1
    }
}
