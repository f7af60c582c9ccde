// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The claims of pods, which are read one by one: each once, for all pods that use it, and once more when the driver
/// has never found the volume.
extension NodeHealthState {
    private static let retries = Backoff(initial: .seconds(5), maximum: .seconds(300))

    /// The next claim to read. Read it and its volume, then call ``complete(lookup:_:at:)`` in any case.
    package mutating func nextClaim(at now: Duration) -> NextStep<ClaimLookup> {
        while let item = dueLookups.first {
            guard lookups[item.element]?.ticket == item.ticket else {
                dueLookups.removeFirst()
                continue
            }
            if item.due > now { return .wait(until: item.due) }
            dueLookups.removeFirst()
            lookups[item.element]?.ticket = nil
            lookups[item.element]?.isUnderWay = true
            return .run(item.element)
        }
        return .wait(until: nil)
    }

    /// Whether a claim of ``nextClaim(at:)`` must not be read from a cache of the API server: what an earlier read
    /// found is doubted.
    package func needsLatest(_ lookup: ClaimLookup) -> Bool { lookups[lookup]?.recency == .doubted }

    /// A lookup of ``nextClaim(at:)`` ended.
    ///
    /// - Returns: whether to log a warning, once for a lookup: a second read has shown that the claim belongs to
    ///   another pod or to none. The first may have been too old.
    @discardableResult
    package mutating func complete(lookup: ClaimLookup, _ resolution: ClaimResolution, at now: Duration) -> Bool {
        guard var record = lookups[lookup], record.isUnderWay else { return false }
        record.isUnderWay = false
        if record.isOutdated {
            // The pods that it was read for are gone: the claim may be another one of that name.
            record.isOutdated = false
            record.ticket = record.users.isEmpty ? nil : dueLookups.insert(lookup, due: now)
            lookups[lookup] = record.users.isEmpty ? nil : record
            return false
        }
        let before = record.resolution
        switch resolution {
        case .volume, .notCSI:
            record.resolution = resolution
            if record.recency == .doubted { record.recency = .latest }
        case .notYet, .foreign, .failed:
            record.failures += 1
            record.ticket = dueLookups.insert(lookup, due: now + Self.retries.delay(afterFailures: record.failures))
        case .forbidden:
            record.ticket = dueLookups.insert(lookup, due: now + Self.retries.maximum)
        }
        var isWarning = false
        if case .foreign = resolution {
            record.foreignReads += 1
            isWarning = record.foreignReads == 2
        }
        lookups[lookup] = record
        guard record.resolution != before else { return isWarning }
        for uid in record.users.sorted() {
            if case .volume(let earlier) = before { forgetVolume(earlier.key(ofPod: uid)) }
            resolve(lookup, resolution, for: uid, at: now)
        }
        return false
    }

    /// The driver does not find a volume that it has never found: the API server may have responded from a cache that
    /// was not up to date, with an earlier claim of this name and its volume. Both are read again, once.
    mutating func doubtResolution(of key: NodeVolumeKey, at now: Duration) {
        guard let record = volumes[key], record.lastFound == nil, let pod = pods[key.podUID]?.pod,
            let volume = pod.volumes.first(where: { record.names.contains($0.name) }),
            let lookup = pod.lookup(of: volume), let known = lookups[lookup],
            known.resolution != nil, known.recency == .cached
        else { return }
        lookups[lookup]?.recency = .doubted
        lookups[lookup]?.failures = 0
        lookups[lookup]?.ticket = dueLookups.insert(lookup, due: now)
    }

    /// A pod uses the claim.
    mutating func use(_ lookup: ClaimLookup, by uid: String, at now: Duration) {
        var record = lookups[lookup] ?? LookupRecord()
        record.users.insert(uid)
        if record.resolution == nil, record.ticket == nil, !record.isUnderWay {
            record.ticket = dueLookups.insert(lookup, due: now)
        }
        lookups[lookup] = record
        if let resolution = record.resolution {
            resolve(lookup, resolution, for: uid, at: now)
        } else {
            pods[uid]?.unresolved.insert(lookup)
        }
    }

    /// A pod does not use the claim any more. The last user gone, the claim may be replaced by another one of its name.
    mutating func release(_ lookup: ClaimLookup, by uid: String) {
        guard var record = lookups[lookup] else { return }
        record.users.remove(uid)
        if record.users.isEmpty {
            record.isOutdated = record.isUnderWay
            (record.resolution, record.recency) = (nil, .cached)
        }
        lookups[lookup] = record.users.isEmpty && !record.isUnderWay ? nil : record
    }

    /// The volume behind a claim of a pod is known, or that it is no CSI volume.
    private mutating func resolve(
        _ lookup: ClaimLookup,
        _ resolution: ClaimResolution,
        for uid: String,
        at now: Duration
    ) {
        guard let pod = pods[uid]?.pod else { return }
        pods[uid]?.unresolved.remove(lookup)
        if case .volume(let resolved) = resolution {
            let volume = NodeVolume(
                key: resolved.key(ofPod: uid),
                namespace: pod.namespace,
                podName: pod.name,
                driver: resolved.driver,
                volumeHandle: resolved.volumeHandle,
                names: pod.volumes.filter { pod.lookup(of: $0) == lookup }.map(\.name),
                claimName: resolved.claimName,
                claimUID: resolved.claimUID
            )
            let paths = VolumePaths(
                kubeletRoot: configuration.kubeletRoot,
                podUID: uid,
                volumeName: resolved.volumeName,
                driver: resolved.driver,
                volumeHandle: resolved.volumeHandle,
                isBlock: resolved.isBlock
            )
            addVolume(volume, paths, at: now)
        }
        reviewReadiness(ofPod: uid, at: now)
    }
}

extension ResolvedVolume {
    fileprivate func key(ofPod uid: String) -> NodeVolumeKey {
        NodeVolumeKey(podUID: uid, volume: volumeName, isInline: false)
    }
}
