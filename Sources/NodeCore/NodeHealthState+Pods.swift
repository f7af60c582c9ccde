// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The pods of the node, as the watch shows them.
extension NodeHealthState {
    /// The watch of pods is not open: an attempt failed.
    package mutating func podWatchFailed(at now: Duration) { podWatch.failed(at: now) }

    /// The watch of pods is open, or a list of them is complete.
    package mutating func podWatchOpened(at now: Duration) { podWatch.opened(at: now) }

    /// A list of all pods begins: each is applied, then ``endRelist(at:)`` is called.
    package mutating func beginRelist() {
        relist &+= 1
    }

    /// The list is complete: pods that were not in it are removed.
    package mutating func endRelist(at now: Duration) {
        for (uid, record) in pods where record.relist != relist { remove(podUID: uid) }
        isListed = true
    }

    /// The watch shows this pod, new or changed.
    ///
    /// From the moment that it has ended or is being deleted, no response on its volumes counts, and what was reported
    /// on it is forgotten without a recovery: the pod ends, and nothing has recovered.
    package mutating func apply(_ pod: NodePod, at now: Duration) {
        let name = PodName(namespace: pod.namespace, name: pod.name)
        if let other = uids[name], other != pod.uid { remove(podUID: other) }
        uids[name] = pod.uid

        guard var record = pods[pod.uid] else {
            // Also one that has not started: it may have run before the node was restarted.
            pods[pod.uid] = PodRecord(pod: pod, relist: relist, isOver: pod.isOver, precedesProcess: !isListed)
            if pod.isOver { return }
            for volume in pod.volumes { addVolume(volume, of: pod, at: now) }
            observeReadiness(of: pod, before: [], at: now)
            reviewReadiness(ofPod: pod.uid, at: now)
            return
        }
        let before = record.pod
        record.relist = relist
        record.isOver = record.isOver || pod.isOver
        record.pod = pod
        // Its mounts stay when the kubelet or a container starts again.
        record.pod.isStarted = pod.isStarted || before.isStarted
        pods[pod.uid] = record
        if record.isOver {
            forgetVolumes(ofPod: pod.uid)
            return
        }
        for volume in pod.volumes where !before.volumes.contains(volume) { addVolume(volume, of: pod, at: now) }
        if record.pod.isStarted, !before.isStarted {
            for key in record.volumes { beginProbing(key, at: now) }
        }
        observeReadiness(of: pod, before: before.conditions, at: now)
        if pod.readinessGates != before.readinessGates || record.pod.isStarted != before.isStarted {
            reviewReadiness(ofPod: pod.uid, at: now)
        }
    }

    /// The pod is gone.
    package mutating func remove(podUID uid: String) {
        forgetVolumes(ofPod: uid)
        guard let record = pods.removeValue(forKey: uid) else { return }
        if uids[record.name] == uid { uids[record.name] = nil }
    }

    /// Forgets everything about the volumes of a pod.
    private mutating func forgetVolumes(ofPod uid: String) {
        guard let record = pods[uid] else { return }
        for volume in record.pod.volumes {
            guard let lookup = record.pod.lookup(of: volume) else { continue }
            release(lookup, by: uid)
        }
        for key in record.volumes { forgetVolume(key) }
        for gate in record.pod.readinessGates { readiness.remove(ReadinessKey(podUID: uid, type: gate)) }
        pods[uid]?.unresolved = []
    }

    /// Forgets everything about a volume.
    mutating func forgetVolume(_ key: NodeVolumeKey) {
        pods[key.podUID]?.volumes.removeAll { $0 == key }
        guard let volume = volumes.removeValue(forKey: key) else { return }
        drivers[volume.volume.driver]?.remove(key)
        drivers[volume.volume.driver]?.volumes -= 1
        dropIfUnused(driver: volume.volume.driver)
        events.remove(key)
        newConditions.remove(key)
        flaps.remove(key)
        flapEvents.remove(key)
        for fingerprint in volume.unknownConditions {
            unknowns.remove(UnknownNodeConditionKey(volume: key, fingerprint: fingerprint))
        }
    }

    /// A volume of a pod is known for the first time: an inline volume at once, others when their claim is resolved.
    private mutating func addVolume(_ volume: PodVolume, of pod: NodePod, at now: Duration) {
        if let lookup = pod.lookup(of: volume) {
            use(lookup, by: pod.uid, at: now)
        } else if case .inline(let driver) = volume.source {
            let target = NodeVolume(
                key: NodeVolumeKey(podUID: pod.uid, volume: volume.name, isInline: true),
                namespace: pod.namespace,
                podName: pod.name,
                driver: driver,
                volumeHandle: VolumePaths.inlineVolumeHandle(podUID: pod.uid, volume: volume.name),
                names: [volume.name]
            )
            let root = configuration.kubeletRoot
            addVolume(target, VolumePaths(kubeletRoot: root, podUID: pod.uid, inlineVolume: volume.name), at: now)
        }
    }

    /// Adds a volume; where it is known, adds its names.
    mutating func addVolume(_ volume: NodeVolume, _ paths: VolumePaths, at now: Duration) {
        let key = volume.key
        guard let pod = pods[key.podUID] else { return }
        if volumes[key] != nil {
            volumes[key]?.names.formUnion(volume.names)
            return
        }
        var record = VolumeRecord(volume, paths)
        if pod.precedesProcess { record.readback = .needed }
        volumes[key] = record
        pods[key.podUID]?.volumes.append(key)
        drivers[volume.driver, default: DriverProbes(configuration: configuration)].volumes += 1
        if pod.pod.isStarted { beginProbing(key, at: now) }
    }

    /// The pod has started, so that its volumes are mounted.
    private mutating func beginProbing(_ key: NodeVolumeKey, at now: Duration) {
        guard let pod = pods[key.podUID], let driver = volumes[key]?.volume.driver else { return }
        let interval = configuration.interval
        let wait: Duration =
            if isGated(pod.pod, by: driver) {
                // The pod is not Ready before the driver has responded for its volumes.
                .zero
            } else if pod.precedesProcess {
                delay(.zero..<interval)
            } else {
                min(delay(.seconds(2)..<(.seconds(10))), interval)
            }
        volumes[key]?.probedSince = now + wait
        drivers[driver]?.add(key, at: now + wait)
        probePlans += 1
    }
}
