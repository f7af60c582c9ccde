// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import NodeCore
import NodeMonitor
import SwiftProtobuf

/// The input: a sequence of objects and changes of a node. Each step is a byte that selects it, and its bytes.
///
/// Whatever the bytes of one object are, the objects around it arrive, and its texts are bounded; the lean readers and
/// the generated messages agree. Objects alone never cause a report, and a volume is probed only for a pod that runs.
enum NodeObjects {
    /// Longer sequences find nothing that shorter ones do not.
    private static let maximumSteps = 50

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        var node = WatchedNode()
        for _ in 0..<maximumSteps where !input.isEmpty {
            switch input.number(below: 4) {
            case 0: try read(WatchedPod.self, as: Pod.self, input.block(), &node) { $1.isWhole(of: $0) }
            case 1:
                try read(ClaimBinding.self, as: PersistentVolumeClaim.self, input.block(), &node) { $1.isWhole(of: $0) }
            case 2: try read(VolumeBinding.self, as: PersistentVolume.self, input.block(), &node) { $1.isWhole(of: $0) }
            default: node.change(input.byte())
            }
            try node.requireProbesOfRunningPods()
        }
        try node.requireSilence()
    }

    private static func read<Read: ListedObject, Whole: Message>(
        _: Read.Type,
        as _: Whole.Type,
        _ bytes: [UInt8],
        _ node: inout WatchedNode,
        isRead: (Read, Whole) -> Bool
    ) throws(InvariantViolation) {
        try WatchFrames.requireNeighbours(Read.self, of: bytes)
        let read = try? Read(reading: bytes.span)
        if let whole = try? Whole(serializedBytes: bytes) {
            guard let read else {
                throw InvariantViolation(message: "the lean reader fails for a valid object: \(whole)")
            }
            try require(isRead(read, whole), "the lean reader's object differs: \(read), \(whole)")
        }
        switch read {
        case let pod as WatchedPod: try node.apply(pod)
        case let claim as ClaimBinding: node.claim = ClaimFacts(claim)
        case let volume as VolumeBinding: node.volume = VolumeFacts(volume)
        default: break
        }
    }
}

// MARK: The lean readers' objects, derived from the generated messages

extension Pod {
    fileprivate func isWhole(of read: WatchedPod) -> Bool {
        let started = Set(status.ephemeralContainerStatuses.filter(\.hasStarted).map(\.name.asName))
        let ephemeral = spec.ephemeralContainers.map(\.ephemeralContainerCommon)
            .filter { started.contains($0.name.asName) }
        let containers = spec.containers + spec.initContainers + ephemeral
        let used = containers.flatMap { $0.volumeMounts.map(\.name.asName) + $0.volumeDevices.map(\.name.asName) }
        return read.pod.metadata.uid == metadata.uid.asName && read.pod.metadata.name == metadata.name.asName
            && read.pod.metadata.namespace == metadata.namespace.asName && read.usedVolumes == Set(used)
            && read.isDeleting == metadata.hasDeletionTimestamp
            && read.hasEnded == ["Succeeded", "Failed"].contains(status.phase)
            && read.pod.spec.volumes.map(\.name) == spec.volumes.map(\.name.asName)
    }
}

extension ContainerStatus {
    fileprivate var hasStarted: Bool {
        [state, lastState].contains { $0.hasRunning || $0.hasTerminated } || !containerID.asName.isEmpty
    }
}

extension PersistentVolumeClaim {
    fileprivate func isWhole(of read: ClaimBinding) -> Bool {
        read.uid == metadata.uid.asName && read.volumeName == spec.volumeName.asName
            && read.isBound == (status.phase == "Bound")
            && read.controllerUID == metadata.ownerReferences.first(where: \.controller)?.uid.asName
    }
}

extension PersistentVolume {
    fileprivate func isWhole(of read: VolumeBinding) -> Bool {
        let csi = spec.persistentVolumeSource.csi
        return read.name == metadata.name.asName && read.claimUID == spec.claimRef.uid.asName
            && read.driver == csi.driver.asName && read.handle == csi.volumeHandle
            && read.isBlock == (spec.volumeMode == "Block")
    }
}
