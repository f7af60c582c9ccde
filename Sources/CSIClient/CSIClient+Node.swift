// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import GRPCTransport
import Logging

/// The Node service, as far as it reports the health of volumes and storage. Paths are those of the driver's process.
extension CSIClient {
    /// The RPCs of the node service that the driver implements. A driver without a node service has none.
    ///
    /// - Throws: ``CSIError``.
    func nodeCapabilities() async throws(CSIError) -> Set<NodeCapability> {
        do {
            let response = try await call(
                CSIMethodName.nodeGetCapabilities,
                CSINodeGetCapabilitiesRequest(),
                returning: CSINodeGetCapabilitiesResponse.self
            )
            return Set(response.capabilities.compactMap { NodeCapability($0.rpc.type) })
        } catch  where error.code == .status(.unimplemented) {
            return []
        }
    }

    /// The condition of one volume on this node.
    ///
    /// - Parameter volumePath: where the volume was published.
    /// - Returns: nil when the driver reports no condition, which means neither healthy nor abnormal.
    /// - Throws: ``CSIError``; ``CSIError/isNotFound`` for a volume that does not exist at the path.
    ///
    /// `staging_target_path`, which is optional, is not sent: the kubelet does not send it either.
    ///
    /// Source: CSI specification 1.3 to 1.12, NodeGetVolumeStats (VOLUME_CONDITION); Kubernetes,
    /// pkg/volume/csi/csi_client.go.
    package func nodeGetVolumeStats(
        id: String,
        volumePath: String
    ) async throws(CSIError) -> DriverVolume.Condition? {
        var request = CSINodeGetVolumeStatsRequest()
        request.volumeID = id
        request.volumePath = volumePath
        return try await call(
            CSIMethodName.nodeGetVolumeStats,
            request,
            returning: CSINodeGetVolumeStatsResponse.self
        ) { bytes, _ throws(CSIError) in
            try DriverVolume.Condition.decode(nodeReply: bytes)
        }
    }

    /// The health of one volume on this node.
    ///
    /// - Parameters:
    ///   - publishPath: where the volume was published; empty when it is not.
    ///   - stagingPath: where the volume was staged; empty for a driver without ``NodeCapability/stageUnstageVolume``.
    /// - Throws: ``CSIError``; ``CSIError/isNotFound`` for a volume that does not exist. A response without
    ///   `volume_health`, or for another volume, is ``CSIError/Code/invalidResponse``: it does not mean that the volume
    ///   is healthy.
    ///
    /// Source: CSI specification 1.13, NodeGetVolumeHealth (GET_VOLUME_HEALTH).
    package func nodeGetVolumeHealth(
        id: String,
        publishPath: String,
        stagingPath: String
    ) async throws(CSIError) -> DriverVolumeHealth {
        let method = CSIMethodName.nodeGetVolumeHealth
        var request = CSINodeGetVolumeHealthRequest()
        request.volumeID = id
        request.volumePublishPath = publishPath
        request.stagingTargetPath = stagingPath
        return try await call(method, request, returning: CSINodeGetVolumeHealthResponse.self) {
            bytes,
            _ throws(CSIError) in try DriverVolumeHealth(reply: bytes, requestedID: id, method: method)
        }
    }

    /// The problems of the way from this node to the driver's storage, unique by status and reason; empty for healthy
    /// storage. There are at most 100; that the driver has reported more is logged once for each driver.
    ///
    /// - Throws: ``CSIError``.
    ///
    /// Source: CSI specification 1.13, NodeGetStorageHealth (GET_STORAGE_HEALTH).
    package func nodeGetStorageHealth() async throws(CSIError) -> [DriverStorageHealth] {
        let method = CSIMethodName.nodeGetStorageHealth
        return try await call(
            method,
            CSINodeGetStorageHealthRequest(),
            returning: CSINodeGetStorageHealthResponse.self
        ) { bytes, _ throws(CSIError) in
            let (problems, isTruncated) = try DriverStorageHealth.decode(reply: bytes)
            if isTruncated, isFirst("too many storage problems") {
                logger.warning(
                    "Ignored further problems of the driver's storage",
                    metadata: ["method": "\(method)", "kept": .stringConvertible(problems.count)]
                )
            }
            return problems
        }
    }
}
