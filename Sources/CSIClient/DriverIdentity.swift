// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A driver's identity and capabilities.
package struct DriverIdentity: Sendable, Hashable {
    /// `spec.csi.driver` of its PersistentVolumes.
    package var name: String
    /// Any text, for people.
    package var vendorVersion: String
    /// Empty for a driver without a controller service, and where the node service was identified.
    package var controllerCapabilities: Set<ControllerCapability> = []
    /// Empty for a driver without a node service, and where the controller service was identified.
    package var nodeCapabilities: Set<NodeCapability> = []
}
