// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which Secret of a PersistentVolume is sent with the calls for its health.
///
/// CSI defines `secrets` for these calls, but Kubernetes has no reference for them: one of the existing references is
/// used.
package enum VolumeSecretsKind: String, Sendable, Hashable, CaseIterable {
    /// No Secret is read or sent.
    case none
    /// `spec.csi.controllerPublishSecretRef`
    case controllerPublish = "controller-publish"
    /// `spec.csi.controllerExpandSecretRef`
    case controllerExpand = "controller-expand"
    /// `spec.csi.nodeStageSecretRef`
    case nodeStage = "node-stage"
}
