// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Digests

/// The paths that the kubelet passes to NodeStageVolume and NodePublishVolume, and the ids of inline volumes.
///
/// The driver resolves them in its own mount namespace: this process needs no access to them.
///
/// | Volume | Publish path | Staging path |
/// |---|---|---|
/// | file system | `ROOT/pods/UID/volumes/kubernetes.io~csi/SPEC/mount` | `PLUGIN/DRIVER/SHA256(HANDLE)/globalmount` |
/// | block | `PLUGIN/volumeDevices/publish/SPEC/UID` | `PLUGIN/volumeDevices/staging/SPEC` |
/// | inline | as file system | none |
///
/// ROOT is the kubelet's root directory, PLUGIN is `ROOT/plugins/kubernetes.io/csi`. SPEC is the name of the
/// PersistentVolume; for an inline volume, its name in the pod.
///
/// Source: Kubernetes `pkg/volume/csi/csi_mounter.go`, `csi_attacher.go` (`makeDeviceMountPath`, since 1.24) and
/// `csi_block.go`.
package struct VolumePaths: Sendable, Hashable {
    package var publish: String
    /// nil: the volume is not staged.
    package var staging: String?

    /// The paths of a PersistentVolume in a pod.
    ///
    /// - Parameter kubeletRoot: `--root-dir` of the kubelet, as a path on the host.
    package init(
        kubeletRoot: String,
        podUID: String,
        volumeName: String,
        driver: String,
        volumeHandle: String,
        isBlock: Bool
    ) {
        let plugin = "\(Self.trimmed(kubeletRoot))/plugins/kubernetes.io/csi"
        let spec = Self.escaped(volumeName)
        if isBlock {
            publish = "\(plugin)/volumeDevices/publish/\(spec)/\(podUID)"
            staging = "\(plugin)/volumeDevices/staging/\(spec)"
        } else {
            publish = Self.mountPath(kubeletRoot: kubeletRoot, podUID: podUID, spec: spec)
            staging = "\(plugin)/\(driver)/\(sha256Hex(volumeHandle))/globalmount"
        }
    }

    /// The path of an inline volume in its pod.
    package init(kubeletRoot: String, podUID: String, inlineVolume name: String) {
        publish = Self.mountPath(kubeletRoot: kubeletRoot, podUID: podUID, spec: Self.escaped(name))
        staging = nil
    }

    /// The `volume_id` of an inline volume. Source: `makeVolumeHandle` in `pkg/volume/csi/csi_mounter.go`.
    package static func inlineVolumeHandle(podUID: String, volume name: String) -> String {
        "csi-" + sha256Hex(podUID + name)
    }

    private static func mountPath(kubeletRoot: String, podUID: String, spec: String) -> String {
        "\(trimmed(kubeletRoot))/pods/\(podUID)/volumes/kubernetes.io~csi/\(spec)/mount"
    }

    private static func trimmed(_ root: String) -> Substring {
        var root = root[...]
        while root.hasSuffix("/") { root.removeLast() }
        return root
    }

    /// As `EscapeQualifiedName` of `k8s.io/utils/strings`.
    private static func escaped(_ name: String) -> String {
        String(name.map { $0 == "/" ? "~" : $0 })
    }
}
