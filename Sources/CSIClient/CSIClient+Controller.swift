// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import Logging

/// The Controller service, as far as it reports the health of volumes.
extension CSIClient {
    /// The RPCs of the controller service that the driver implements.
    ///
    /// - Throws: ``CSIError``.
    func controllerCapabilities() async throws(CSIError) -> Set<ControllerCapability> {
        let response = try await call(
            CSIMethodName.controllerGetCapabilities,
            CSIControllerGetCapabilitiesRequest(),
            returning: CSIControllerGetCapabilitiesResponse.self
        )
        return Set(response.capabilities.compactMap { ControllerCapability($0.rpc.type) })
    }

    // MARK: Volume condition (CSI 1.3 to 1.12)

    /// All volumes of the driver. Entries without a `volume_id`, which the specification requires, are skipped: they do
    /// not invalidate the others.
    ///
    /// Source: CSI specification, ListVolumes.
    package func listVolumes() -> DriverPages<DriverVolume> {
        let method = CSIMethodName.listVolumes
        return DriverPages(method: method) { token throws(CSIError) in
            var request = CSIListVolumesRequest()
            request.maxEntries = self.configuration.maxEntries
            request.startingToken = token
            return try await self.call(method, request, returning: CSIListVolumesResponse.self) {
                bytes,
                _ throws(CSIError) in try DriverPage(bytes, method: method)
            }
        } items: { part in
            self.warn(ofEntriesWithoutID: part.entriesWithoutID, method: method)
            return part.items
        }
    }

    /// The condition of one volume.
    ///
    /// The response is taken for the requested volume even where its `volume_id` differs or is missing. That is logged
    /// once for each driver and is in the call's observation.
    ///
    /// - Throws: ``CSIError``. For a missing volume, drivers return NotFound, or OK with an abnormal condition. A response
    ///   with neither a volume nor a condition is ``CSIError/Code/invalidResponse``.
    ///
    /// Source: CSI specification, ControllerGetVolume (GET_VOLUME).
    package func getVolume(id: String) async throws(CSIError) -> DriverVolume {
        let method = CSIMethodName.controllerGetVolume
        var request = CSIControllerGetVolumeRequest()
        request.volumeID = id
        return try await call(method, request, returning: CSIControllerGetVolumeResponse.self) {
            bytes,
            observation throws(CSIError) in
            let (volume, deviation) = try DriverVolume.decode(reply: bytes, requestedID: id)
            observation.deviation = deviation
            if let deviation { self.warn(of: deviation, id: id, method: method) }
            return volume
        }
    }

    // MARK: Volume health (CSI 1.13 and later)

    /// The health of the driver's volumes. Healthy volumes should be left out by the driver, and may be there. A volume
    /// that comes twice, on one page or on two, is returned twice. Entries without a `volume_id` are skipped as in
    /// ``listVolumes()``.
    ///
    /// - Parameter secrets: sent with every page, and never logged.
    ///
    /// Source: CSI specification 1.13, ControllerListVolumeHealth (LIST_VOLUME_HEALTH).
    package func listVolumeHealth(secrets: [String: String] = [:]) -> DriverPages<DriverVolumeHealth> {
        let method = CSIMethodName.controllerListVolumeHealth
        let redaction = Redaction(secrets)
        return DriverPages(method: method) { token throws(CSIError) in
            var request = CSIControllerListVolumeHealthRequest()
            request.maxEntries = self.configuration.maxEntries
            request.startingToken = token
            request.secrets = secrets
            return try await self.call(method, request, returning: CSIControllerListVolumeHealthResponse.self) {
                bytes,
                _ throws(CSIError) in try DriverPage(bytes, method: method)
            }
        } items: { part in
            self.warn(ofEntriesWithoutID: part.entriesWithoutID, method: method)
            return part.items.map { redaction($0) }
        }
    }

    /// The health of one volume.
    ///
    /// - Parameter secrets: sent with the call, and never logged.
    /// - Throws: ``CSIError``; ``CSIError/isNotFound`` for a volume that does not exist. A response without
    ///   `volume_health`, or for another volume, is ``CSIError/Code/invalidResponse``: it does not mean that the volume
    ///   is healthy.
    ///
    /// Source: CSI specification 1.13, ControllerGetVolumeHealth (GET_VOLUME_HEALTH).
    package func getVolumeHealth(
        id: String,
        secrets: [String: String] = [:]
    ) async throws(CSIError) -> DriverVolumeHealth {
        let method = CSIMethodName.controllerGetVolumeHealth
        var request = CSIControllerGetVolumeHealthRequest()
        request.volumeID = id
        request.secrets = secrets
        return try await call(method, request, returning: CSIControllerGetVolumeHealthResponse.self) {
            bytes,
            _ throws(CSIError) in Redaction(secrets)(try DriverVolumeHealth(reply: bytes, requestedID: id))
        }
    }

    // MARK: Warnings, once for each driver

    private func warn(of deviation: ReplyDeviation, id: String, method: String) {
        guard isFirst(deviation.kind.rawValue) else { return }
        logger.warning(
            "The driver's responses deviate from the CSI specification, using them anyway",
            metadata: [
                "method": "\(method)", "deviation": "\(deviation.kind.rawValue)", "volumeHandle": "\(id)",
                "volumeID": "\(deviation.example)",
            ]
        )
    }

    private func warn(ofEntriesWithoutID count: Int, method: String) {
        guard count > 0, isFirst("entries without a volume_id") else { return }
        logger.warning(
            "Skipped list entries without a volume_id",
            metadata: ["method": "\(method)", "entries": .stringConvertible(count)]
        )
    }
}
