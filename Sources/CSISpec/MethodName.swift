// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Full method names of the CSI services, as in gRPC's `:path` and in metrics' labels.
///
/// Source: container-storage-interface/spec, csi.proto, services Identity, Controller and Node.
package enum CSIMethodName {
    package static let getPluginInfo = "/csi.v1.Identity/GetPluginInfo"
    package static let getPluginCapabilities = "/csi.v1.Identity/GetPluginCapabilities"
    package static let probe = "/csi.v1.Identity/Probe"
    package static let controllerGetCapabilities = "/csi.v1.Controller/ControllerGetCapabilities"
    package static let createVolume = "/csi.v1.Controller/CreateVolume"
    package static let deleteVolume = "/csi.v1.Controller/DeleteVolume"
    package static let listVolumes = "/csi.v1.Controller/ListVolumes"
    package static let controllerGetVolume = "/csi.v1.Controller/ControllerGetVolume"
    /// CSI 1.13 and later.
    package static let controllerListVolumeHealth = "/csi.v1.Controller/ControllerListVolumeHealth"
    /// CSI 1.13 and later.
    package static let controllerGetVolumeHealth = "/csi.v1.Controller/ControllerGetVolumeHealth"
    package static let nodeGetCapabilities = "/csi.v1.Node/NodeGetCapabilities"
    package static let nodeGetVolumeStats = "/csi.v1.Node/NodeGetVolumeStats"
    /// CSI 1.13 and later.
    package static let nodeGetVolumeHealth = "/csi.v1.Node/NodeGetVolumeHealth"
    /// CSI 1.13 and later.
    package static let nodeGetStorageHealth = "/csi.v1.Node/NodeGetStorageHealth"
}
