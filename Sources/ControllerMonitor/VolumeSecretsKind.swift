// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which of a PersistentVolume's Secrets goes with the calls for its health.
///
/// CSI has `secrets` in these calls, and Kubernetes has no reference for them: one of the existing references is used.
package enum VolumeSecretsKind: String, Sendable, Hashable, CaseIterable {
    /// None is read and none is sent.
    case none
    /// `spec.csi.controllerPublishSecretRef`
    case controllerPublish = "controller-publish"
    /// `spec.csi.controllerExpandSecretRef`
    case controllerExpand = "controller-expand"
    /// `spec.csi.nodeStageSecretRef`
    case nodeStage = "node-stage"
}
