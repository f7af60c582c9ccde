// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Full method names of the CSI services, as gRPC sends them in `:path` and as metrics label them.
///
/// Source: container-storage-interface/spec, csi.proto, services Identity and Controller.
package enum CSIMethodName {
    /// Name and version of the driver.
    package static let getPluginInfo = "/csi.v1.Identity/GetPluginInfo"
    /// Which services the driver has.
    package static let getPluginCapabilities = "/csi.v1.Identity/GetPluginCapabilities"
    /// Whether the driver is ready.
    package static let probe = "/csi.v1.Identity/Probe"
    /// Which controller RPCs the driver has.
    package static let controllerGetCapabilities = "/csi.v1.Controller/ControllerGetCapabilities"
    /// All volumes, by pages.
    package static let listVolumes = "/csi.v1.Controller/ListVolumes"
    /// One volume.
    package static let controllerGetVolume = "/csi.v1.Controller/ControllerGetVolume"
    /// The health of all volumes that are not well, by pages (CSI 1.13 and later).
    package static let controllerListVolumeHealth = "/csi.v1.Controller/ControllerListVolumeHealth"
    /// The health of one volume (CSI 1.13 and later).
    package static let controllerGetVolumeHealth = "/csi.v1.Controller/ControllerGetVolumeHealth"
}
