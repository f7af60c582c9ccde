// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CompactStorage
import HealthCore

/// Finds the claims that use a volume: the watched PersistentVolumes and PersistentVolumeClaims, reduced to what joins
/// them.
///
/// A claim uses a volume only while both agree: the volume belongs to the monitored driver and is Bound, its claimRef
/// has the claim's uid, and the claim exists and names the volume. The join is made on each lookup, so the two watches
/// may deliver in any order, and a volume that is not yet Bound when it is first seen is found later.
///
/// A watch fills each half: begin a relist, apply every object, end the relist, which drops all objects that were not
/// in it; then apply and remove single objects (`ClaimIndex+Cluster.swift`).
///
/// There may be hundreds of thousands of objects: each text is stored once, everything else in small fixed-size records
/// (`ClaimIndex+Records.swift`).
///
/// Other types keep what they know of a claim or a volume handle under its number. When the claim, or the last volume
/// with the handle, is gone, its number may be reused: what is kept under it must be removed first.
struct ClaimIndex: Sendable {
    var texts = StringTable()
    var volumes = RecordTable<VolumeRecord>()
    var handles = RecordTable<HandleEntry>()
    var claims = RecordTable<ClaimRecord>()
    /// `status.healthStatus` of the claims that have one.
    var healthStatuses = [ClaimNumber: VolumeState]()
    /// `status.healthStatus.lastTransitionTime` of these claims, in seconds since 1970.
    var healthTransitions: [ClaimNumber: Int64] = [:]
    /// The condition of type ``ClaimCondition/type`` of the claims that have one.
    var conditions = [ClaimNumber: ShownCondition]()
    /// How many of ``conditions`` are healthy.
    var healthyConditions = 0
    /// How many volumes belong to other nodes.
    var volumesOfOtherNodes = 0
    /// The number of the latest list of volumes: a record of an older generation was not seen since that list began.
    var volumeGeneration: UInt32 = 0
    /// The same for claims.
    var claimGeneration: UInt32 = 0
    /// How many records were removed or changed since the texts were last copied: about as many texts are unused.
    var abandonedRecords = 0

    /// What is known of a volume handle while a volume has it.
    struct HandleRecord: Sendable {
        /// The number of the last sweep that listed it; 0: no sweep of this process did.
        var lastListed: UInt32 = 0
        var health = KnownHealth.unknown
        /// The driver did not find it in the last call or list.
        var isMissing = false
        /// It was added after the last sweep began.
        var isNew = true
    }

    /// The claims that use the volume with this handle, in the order of their volumes' names.
    func claims(of handle: HandleNumber) -> [ClaimNumber] {
        let found = volumes(of: handle).compactMap { volume in
            claim(of: volume).map { (volume: volume, claim: $0) }
        }
        if found.count < 2 { return found.map(\.claim) }
        return found.map { (name: texts[$0.volume.key], claim: $0.claim) }.sorted { $0.name < $1.name }.map(\.claim)
    }

    /// Whether any claim uses the volume with this handle.
    func hasClaim(ofVolumeHandle handle: String) -> Bool {
        guard let handle = number(ofVolumeHandle: handle) else { return false }
        return volumes(of: handle).contains { claim(of: $0) != nil }
    }

    /// Whether any claim uses the volume with this handle.
    func hasClaim(of handle: HandleNumber) -> Bool {
        firstUsed(of: handle) != nil
    }

    /// How many handles there are.
    var handleCount: Int { handles.count }

    /// How many handles have a volume that a claim uses. O(n).
    var usedHandles: Int { handles.positions.count { hasClaim(of: HandleNumber($0)) } }

    /// Whether all volumes with this handle belong to other nodes.
    func isOfOtherNode(_ handle: HandleNumber) -> Bool {
        volumes(of: handle).allSatisfy { $0.isOfOtherNode }
    }

    /// Whether the missing volumes among those in use are exactly the volumes of other nodes, and there are some. O(n).
    var missesExactlyOtherNodes: Bool {
        var isAny = false
        for position in handles.positions where hasClaim(of: HandleNumber(position)) {
            let isMissing = handles[position].record.isMissing
            if isMissing != isOfOtherNode(HandleNumber(position)) { return false }
            isAny = isAny || isMissing
        }
        return isAny
    }

    /// An example of a handle that existed before the last list began, when no list has had any known handle; nil when
    /// a list has had one.
    var unlistedHandle: String? {
        var example: Int?
        for position in handles.positions {
            let record = handles[position].record
            if record.lastListed != 0 { return nil }
            if example == nil, !record.isNew { example = position }
        }
        return example.map { texts[handles[$0].key] }
    }

    /// The handle of the volume that a claim uses; nil when it is no volume of the monitored driver.
    func volumeHandle(of claim: ClaimNumber) -> String? {
        volume(of: claim).map { texts[$0.handle] }
    }

    /// What is known of the volume that a claim uses; nil when it is no volume of the monitored driver.
    func record(ofVolumeOf claim: ClaimNumber) -> HandleRecord? {
        volume(of: claim).flatMap { handles[$0.handle]?.record }
    }

    /// Whether a claim uses a volume of the monitored driver.
    func hasVolume(_ claim: ClaimNumber) -> Bool {
        volume(of: claim) != nil
    }

    /// The claim with this key; nil when it uses no volume of the monitored driver.
    func claim(at key: ClaimKey) -> Claim? {
        number(at: key).flatMap { hasVolume($0) ? claim($0) : nil }
    }

    /// The number of the claim with this key, whichever volume it has.
    func number(at key: ClaimKey) -> ClaimNumber? {
        texts.key(of: Self.text(key)).flatMap(claims.position(of:)).map(ClaimNumber.init)
    }

    /// The current version of a claim, whichever volume it has; nil when it is gone.
    func claim(_ number: ClaimNumber) -> Claim? {
        claims.contains(number.position) ? self[claims[number.position]] : nil
    }

    /// `metadata.uid`; nil when the claim is gone.
    func uid(of claim: ClaimNumber) -> String? {
        claims.contains(claim.position) ? texts[claims[claim.position].uid] : nil
    }

    /// The state that the claim's `status.healthStatus` shows; clear when it has none.
    func healthStatus(of claim: ClaimNumber) -> VolumeState {
        healthStatuses[claim] ?? .clear
    }

    /// The condition of type ``ClaimCondition/type`` in the claim's `status.conditions`.
    func condition(of claim: ClaimNumber) -> ShownCondition? {
        conditions[claim]
    }

    /// Since when the claim's status shows the state with this fingerprint, in seconds since 1970; nil when it does not
    /// show it.
    func unhealthySince(_ claim: ClaimNumber, showing fingerprint: Fingerprint) -> Int64? {
        if let state = healthStatuses[claim] {
            return state.fingerprint == fingerprint ? healthTransitions[claim] : nil
        }
        // A condition does not hold all of the state: any unhealthy one counts.
        return conditions[claim].flatMap { $0.isHealthy ? nil : $0.transition }
    }

    /// Whether the claim's status shows an unhealthy volume.
    func showsUnhealthy(_ claim: ClaimNumber) -> Bool {
        healthStatuses[claim] != nil || conditions[claim]?.isHealthy == false
    }

    /// The Secret that the volume with this handle refers to.
    func secret(ofVolumeHandle handle: String) -> SecretName? {
        guard let handle = number(ofVolumeHandle: handle) else { return nil }
        let volumes = volumes(of: handle).filter { $0.secret != .none }
        return volumes.map { (texts[$0.key], $0.secret) }.min { $0.0 < $1.0 }.map { secret(at: $0.1) }
    }

    /// The Secret that all volumes refer to; nil when one refers to none, or they refer to several.
    var commonSecret: SecretName? {
        let secrets = Set(volumes.positions.lazy.map { volumes[$0].secret })
        guard secrets.count == 1, let secret = secrets.first, secret != .none else { return nil }
        return self.secret(at: secret)
    }

    /// The number of the handle of the volume that a claim uses; nil when it is no volume of the monitored driver.
    func handle(of claim: ClaimNumber) -> HandleNumber? {
        volume(of: claim).flatMap { handles.position(of: $0.handle) }.map(HandleNumber.init)
    }

    /// The number of the handle of the volume with this name.
    func number(ofHandleOfVolumeNamed name: String) -> HandleNumber? {
        texts.key(of: name).flatMap { volumes[$0] }.flatMap { handles.position(of: $0.handle) }.map(HandleNumber.init)
    }
}

// MARK: Joins

extension ClaimIndex {
    private func claim(of volume: VolumeRecord) -> ClaimNumber? {
        guard volume.isBound, volume.claim != .none, let position = claims.position(of: volume.claim) else {
            return nil
        }
        let record = claims[position]
        return record.uid == volume.claimUID && record.volumeName == volume.key ? ClaimNumber(position) : nil
    }

    private func volume(of claim: ClaimNumber) -> VolumeRecord? {
        guard claims.contains(claim.position), let volume = volumes[claims[claim.position].volumeName] else {
            return nil
        }
        return self.claim(of: volume) == claim ? volume : nil
    }

    /// In no particular order.
    private func volumes(of handle: HandleNumber) -> [VolumeRecord] {
        guard handles.contains(handle.position) else { return [] }
        var volumes: [VolumeRecord] = []
        var next: StringTable.Key? = handles[handle.position].firstVolume
        while let name = next, let volume = self.volumes[name] {
            volumes.append(volume)
            next = volume.nextOfHandle
        }
        return volumes
    }
}

// MARK: Placements

extension ClaimIndex {
    /// How many handles with a volume that a claim uses there are by placement. O(n).
    var usedByPlacement: [StringTable.Key: Int] {
        handles.positions.reduce(into: [:]) { counts, position in
            if let volume = firstUsed(of: HandleNumber(position)) { counts[volume.placement, default: 0] += 1 }
        }
    }

    /// The placement of the volume with this handle that a claim uses; nil when no claim does.
    func placement(of handle: HandleNumber) -> StringTable.Key? { firstUsed(of: handle)?.placement }

    /// The placement that is stored as ``VolumeRecord/placement``.
    func placement(at key: StringTable.Key) -> VolumePlacement {
        key == .none ? VolumePlacement() : VolumePlacement(text: texts[key])
    }

    /// The first volume with this handle that a claim uses.
    private func firstUsed(of handle: HandleNumber) -> VolumeRecord? {
        guard handles.contains(handle.position) else { return nil }
        var next = handles[handle.position].firstVolume
        while next != .none, let volume = volumes[next] {
            if claim(of: volume) != nil { return volume }
            next = volume.nextOfHandle
        }
        return nil
    }
}

// MARK: Handles

extension ClaimIndex {
    /// The number of a handle; nil when no volume has it.
    func number(ofVolumeHandle handle: String) -> HandleNumber? {
        texts.key(of: handle).flatMap(handles.position(of:)).map(HandleNumber.init)
    }

    /// The handle with this number; nil when no volume has it any more.
    func volumeHandle(_ number: HandleNumber) -> String? {
        handles.contains(number.position) ? texts[handles[number.position].key] : nil
    }

    /// What is known of a handle; nil when no volume has it any more.
    func record(of handle: HandleNumber) -> HandleRecord? {
        handles.contains(handle.position) ? handles[handle.position].record : nil
    }

    /// Changes what is known of a handle, if a volume has it.
    mutating func update(_ handle: HandleNumber, _ change: (inout HandleRecord) -> Void) {
        if handles.contains(handle.position) { change(&handles[handle.position].record) }
    }

    /// What is known of a handle; nil when no volume has it.
    func record(ofVolumeHandle handle: String) -> HandleRecord? {
        texts.key(of: handle).flatMap { handles[$0]?.record }
    }

    /// Changes what is known of a handle, if a volume has it.
    mutating func update(_ handle: String, _ change: (inout HandleRecord) -> Void) {
        if let position = texts.key(of: handle).flatMap({ handles.position(of: $0) }) {
            change(&handles[position].record)
        }
    }

    /// How many handles there are by health.
    var healthCounts: [KnownHealth: Int] {
        handles.positions.reduce(into: [:]) { $0[handles[$1].record.health, default: 0] += 1 }
    }

    /// Whether the status of any claim shows an unhealthy volume.
    var hasUnhealthyStatuses: Bool { !healthStatuses.isEmpty || conditions.count > healthyConditions }

    /// The claims whose status shows an unhealthy volume.
    var unhealthyStatuses: [ClaimNumber] {
        var claims = Array(healthStatuses.keys)
        for (claim, condition) in conditions where !condition.isHealthy && healthStatuses[claim] == nil {
            claims.append(claim)
        }
        return claims
    }

    /// The handles whose record satisfies the predicate.
    func handles(where isIncluded: (HandleRecord) -> Bool) -> [String] {
        handles.positions.filter { isIncluded(handles[$0].record) }.map { texts[handles[$0].key] }
    }

    /// Changes what is known of all handles.
    mutating func updateAll(_ change: (inout HandleRecord) -> Void) {
        for position in handles.positions {
            change(&handles[position].record)
        }
    }

    /// A term begins or ends: only the driver's responses of the same term count.
    mutating func forgetReplies() {
        updateAll { $0 = HandleRecord() }
    }

    /// The probe strategy changes: what was listed or missing before does not count for the new one.
    mutating func forgetListings() {
        updateAll { record in
            record.lastListed = 0
            record.isMissing = false
        }
    }
}
