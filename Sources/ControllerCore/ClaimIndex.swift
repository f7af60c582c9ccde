// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CompactStorage
import HealthCore

/// Which claims use a volume: the watched PersistentVolumes and PersistentVolumeClaims, reduced to what joins them.
///
/// A claim counts as a volume's only while all agree on it: the volume is of our driver and Bound, its claimRef names
/// the claim by uid, and the claim exists and names the volume. Everything is looked up when it is asked for, so the
/// two watches may deliver in any order, and a volume that is not yet Bound when it is first seen is found later.
///
/// Both halves are filled by a watch, in the same way: begin a relist, apply every object, end the relist, which drops
/// what was not among them; after that apply and remove one by one (`ClaimIndex+Cluster.swift`).
///
/// There may be hundred thousands of them: each text is stored once, and all else are small records of numbers
/// (`ClaimIndex+Records.swift`).
///
/// What else there is to know of a claim, or of a volume handle, is kept elsewhere under its number. A number names nothing
/// any more when the claim, or the last volume with the handle, is gone, and may then be given to another.
struct ClaimIndex: Sendable {
    var texts = StringTable()
    var volumes = RecordTable<VolumeRecord>()
    var handles = RecordTable<HandleEntry>()
    var claims = RecordTable<ClaimRecord>()
    /// Only of claims that show one.
    var healthStatuses = [ClaimNumber: VolumeState]()
    /// Of those, `lastTransitionTime` in seconds since 1970.
    var healthTransitions: [ClaimNumber: Int64] = [:]
    /// Only of claims that have one.
    var conditions = [ClaimNumber: ShownCondition]()
    /// How many of ``conditions`` are healthy.
    var healthyConditions = 0
    /// How many volumes are of other nodes than ours.
    var volumesOfOtherNodes = 0
    /// The list that a volume, or a claim, was last seen in or after.
    var volumeGeneration: UInt32 = 0
    var claimGeneration: UInt32 = 0
    /// How many records went or changed since the texts were last copied: about so many texts nobody uses.
    var abandonedRecords = 0

    /// What is known of a volume handle, as long as there is a volume with it.
    struct HandleRecord: Sendable {
        /// The number of the last sweep that listed it; 0: none of this process did.
        var lastListed: UInt32 = 0
        var health = KnownHealth.unknown
        /// The driver did not have it when it was last asked.
        var isMissing = false
        /// It turned up since the last sweep began.
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
        volumes(of: handle).contains { claim(of: $0) != nil }
    }

    /// How many handles have a volume that a claim uses. Takes time in proportion to their number.
    var usedHandles: Int { handles.positions.count { hasClaim(of: HandleNumber($0)) } }

    /// Whether all volumes with this handle are of other nodes than ours.
    func isOfOtherNode(_ handle: HandleNumber) -> Bool {
        volumes(of: handle).allSatisfy { $0.isOfOtherNode }
    }

    /// Whether the volumes in use that are missing are exactly those of other nodes, and there are some. Takes time in
    /// proportion to their number.
    var missesExactlyOtherNodes: Bool {
        var isAny = false
        for position in handles.positions where hasClaim(of: HandleNumber(position)) {
            let isMissing = handles[position].record.isMissing
            if isMissing != isOfOtherNode(HandleNumber(position)) { return false }
            isAny = isAny || isMissing
        }
        return isAny
    }

    /// A handle that was there before the last list began, where no list has had any handle; nil where one has.
    var unlistedHandle: String? {
        var example: Int?
        for position in handles.positions {
            let record = handles[position].record
            if record.lastListed != 0 { return nil }
            if example == nil, !record.isNew { example = position }
        }
        return example.map { texts[handles[$0].key] }
    }

    /// The volume that a claim uses, when it is one of our driver's.
    func volumeHandle(of claim: ClaimNumber) -> String? {
        volume(of: claim).map { texts[$0.handle] }
    }

    /// What is known of the volume that a claim uses, when it is one of our driver's.
    func record(ofVolumeOf claim: ClaimNumber) -> HandleRecord? {
        volume(of: claim).flatMap { handles[$0.handle]?.record }
    }

    /// Whether a claim uses a volume of our driver's.
    func hasVolume(_ claim: ClaimNumber) -> Bool {
        volume(of: claim) != nil
    }

    /// The claim of this name, when it uses a volume of our driver's.
    func claim(at key: ClaimKey) -> Claim? {
        number(at: key).flatMap { hasVolume($0) ? claim($0) : nil }
    }

    /// The claim of this name as it is now, whatever volume it has.
    func number(at key: ClaimKey) -> ClaimNumber? {
        texts.key(of: Self.text(key)).flatMap(claims.position(of:)).map(ClaimNumber.init)
    }

    /// The claim as it is now, whatever volume it has; nil when it is gone.
    func claim(_ number: ClaimNumber) -> Claim? {
        claims.contains(number.position) ? self[claims[number.position]] : nil
    }

    /// `metadata.uid`; nil when the claim is gone.
    func uid(of claim: ClaimNumber) -> String? {
        claims.contains(claim.position) ? texts[claims[claim.position].uid] : nil
    }

    /// What the claim's `status.healthStatus` says; clear when there is none.
    func healthStatus(of claim: ClaimNumber) -> VolumeState {
        healthStatuses[claim] ?? .clear
    }

    /// The condition of ours in the claim's `status.conditions`.
    func condition(of claim: ClaimNumber) -> ShownCondition? {
        conditions[claim]
    }

    /// Since when the claim's status shows this set of status and reason, in seconds since 1970; nil where it does not say.
    func unhealthySince(_ claim: ClaimNumber, showing fingerprint: Fingerprint) -> Int64? {
        if let state = healthStatuses[claim] {
            return state.fingerprint == fingerprint ? healthTransitions[claim] : nil
        }
        // A condition has not all of the state.
        return conditions[claim].flatMap { $0.isHealthy ? nil : $0.transition }
    }

    /// Whether the claim's status says that something is wrong.
    func showsUnhealthy(_ claim: ClaimNumber) -> Bool {
        healthStatuses[claim] != nil || conditions[claim]?.isHealthy == false
    }

    /// The Secret that the volume with this handle refers to.
    func secret(ofVolumeHandle handle: String) -> SecretName? {
        guard let handle = number(ofVolumeHandle: handle) else { return nil }
        let volumes = volumes(of: handle).filter { $0.secret != .none }
        return volumes.map { (texts[$0.key], $0.secret) }.min { $0.0 < $1.0 }.map { secret(at: $0.1) }
    }

    /// The Secret that all volumes refer to; nil when one has none, or they have several.
    var commonSecret: SecretName? {
        let secrets = Set(volumes.positions.lazy.map { volumes[$0].secret })
        guard secrets.count == 1, let secret = secrets.first, secret != .none else { return nil }
        return self.secret(at: secret)
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

    /// In no order.
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

// MARK: Handles

extension ClaimIndex {
    /// The handle's number; nil when there is no volume with it.
    func number(ofVolumeHandle handle: String) -> HandleNumber? {
        texts.key(of: handle).flatMap(handles.position(of:)).map(HandleNumber.init)
    }

    /// The handle; nil when there is no volume with it any more.
    func volumeHandle(_ number: HandleNumber) -> String? {
        handles.contains(number.position) ? texts[handles[number.position].key] : nil
    }

    /// What is known of a handle; nil when there is no volume with it any more.
    func record(of handle: HandleNumber) -> HandleRecord? {
        handles.contains(handle.position) ? handles[handle.position].record : nil
    }

    /// Changes what is known of a handle.
    mutating func update(_ handle: HandleNumber, _ change: (inout HandleRecord) -> Void) {
        if handles.contains(handle.position) { change(&handles[handle.position].record) }
    }

    /// What is known of a handle; nil when there is no volume with it.
    func record(ofVolumeHandle handle: String) -> HandleRecord? {
        texts.key(of: handle).flatMap { handles[$0]?.record }
    }

    /// Changes what is known of a handle.
    mutating func update(_ handle: String, _ change: (inout HandleRecord) -> Void) {
        if let position = texts.key(of: handle).flatMap({ handles.position(of: $0) }) {
            change(&handles[position].record)
        }
    }

    /// How many handles are in which health.
    var healthCounts: [KnownHealth: Int] {
        handles.positions.reduce(into: [:]) { $0[handles[$1].record.health, default: 0] += 1 }
    }

    /// Whether the status of any claim says that something is wrong.
    var hasUnhealthyStatuses: Bool { !healthStatuses.isEmpty || conditions.count > healthyConditions }

    /// Claims whose status says that something is wrong.
    var unhealthyStatuses: [ClaimNumber] {
        var claims = Array(healthStatuses.keys)
        for (claim, condition) in conditions where !condition.isHealthy && healthStatuses[claim] == nil {
            claims.append(claim)
        }
        return claims
    }

    /// Handles whose record passes the test.
    func handles(where isIncluded: (HandleRecord) -> Bool) -> [String] {
        handles.positions.filter { isIncluded(handles[$0].record) }.map { texts[handles[$0].key] }
    }

    /// Changes what is known of all handles.
    mutating func updateAll(_ change: (inout HandleRecord) -> Void) {
        for position in handles.positions {
            change(&handles[position].record)
        }
    }

    /// A term begins or ends: only the driver's replies of this term say how its volumes are.
    mutating func forgetReplies() {
        updateAll { $0 = HandleRecord() }
    }

    /// Another way of asking begins: what the last one listed and missed says nothing of the next.
    mutating func forgetListings() {
        updateAll { record in
            record.lastListed = 0
            record.isMissing = false
        }
    }
}
