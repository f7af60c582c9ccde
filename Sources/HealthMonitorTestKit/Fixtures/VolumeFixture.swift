// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A PersistentVolume of a CSI driver and the PersistentVolumeClaim that is bound to it.
package struct VolumeFixture: Sendable, Hashable {
    package var namespace = "default"
    package var claimName: String
    package var volumeName: String
    /// `spec.csi.volumeHandle`
    package var handle: String
    /// `spec.csi.driver`
    package var driverName: String
    /// Of both: `Filesystem` or `Block`.
    package var volumeMode = "Filesystem"
    /// The Pod that controls the claim; nil for a claim that no generic ephemeral volume made.
    package var owner: Owner?

    /// A Pod as the controller of the claim of its generic ephemeral volume.
    package struct Owner: Sendable, Hashable {
        package var podName: String
        package var podUID: String

        package init(podName: String, podUID: String) {
            self.podName = podName
            self.podUID = podUID
        }
    }

    package init(
        claimName: String,
        volumeName: String,
        handle: String,
        driverName: String = "hostpath.csi.k8s.io"
    ) {
        self.claimName = claimName
        self.volumeName = volumeName
        self.handle = handle
        self.driverName = driverName
    }

    /// Number 0 is the example of csi-driver-host-path, the others have numbered names.
    package init(number: Int, driverName: String = "hostpath.csi.k8s.io") {
        if number == 0 {
            self.init(
                claimName: "csi-pvc",
                volumeName: "pvc-63fd7293-c543-4c83-8f65-01aacb098ab3",
                handle: "47f67155-a1b9-11eb-8b74-0242ac110003",
                driverName: driverName
            )
        } else {
            self.init(
                claimName: "csi-pvc-\(number)",
                volumeName: "pv-\(number)",
                handle: "volume-\(number)",
                driverName: driverName
            )
        }
    }

    /// Creates both, bound to each other.
    ///
    /// - Returns: the claim's uid.
    @discardableResult
    package func create(in server: SimulatedAPIServer) throws -> String {
        var metadata: JSONValue = ["namespace": .string(namespace), "name": .string(claimName)]
        if let owner {
            // As the ephemeral volume controller writes it.
            metadata["ownerReferences"] = [
                [
                    "apiVersion": "v1", "kind": "Pod", "name": .string(owner.podName), "uid": .string(owner.podUID),
                    "controller": true, "blockOwnerDeletion": true,
                ]
            ]
        }
        let claim = try server.create([
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": [
                "accessModes": ["ReadWriteOnce"],
                "resources": ["requests": ["storage": "1Gi"]],
                "storageClassName": "csi-hostpath-sc",
                "volumeMode": .string(volumeMode),
                "volumeName": .string(volumeName),
            ],
            "status": ["phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": ["storage": "1Gi"]],
        ])
        let uid = claim["metadata", "uid"]?.string ?? ""
        try server.create(volume(claimUID: uid, phase: "Bound"))
        return uid
    }

    /// Deletes both.
    package func delete(in server: SimulatedAPIServer) throws {
        try server.delete(kind: "PersistentVolumeClaim", namespace: namespace, name: claimName)
        try server.delete(kind: "PersistentVolume", name: volumeName)
    }

    /// The path that the kubelet passes to NodePublishVolume.
    ///
    /// Source: k8s.io/kubernetes, pkg/volume/csi/csi_mounter.go (getTargetPath) and csi_block.go (getPublishPath).
    package func publishPath(podUID: String, kubeletRoot: String) -> String {
        volumeMode == "Block"
            ? "\(kubeletRoot)/plugins/kubernetes.io/csi/volumeDevices/publish/\(volumeName)/\(podUID)"
            : "\(kubeletRoot)/pods/\(podUID)/volumes/kubernetes.io~csi/\(volumeName)/mount"
    }

    /// The PersistentVolume as the API server has it.
    package func volume(claimUID: String, phase: String) -> JSONValue {
        [
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": ["name": .string(volumeName)],
            "spec": [
                "accessModes": ["ReadWriteOnce"],
                "capacity": ["storage": "1Gi"],
                "claimRef": [
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": .string(namespace),
                    "name": .string(claimName),
                    "uid": .string(claimUID),
                ],
                "csi": ["driver": .string(driverName), "volumeHandle": .string(handle)],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": "csi-hostpath-sc",
                "volumeMode": .string(volumeMode),
            ],
            "status": ["phase": .string(phase)],
        ]
    }
}
