// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import Logging

extension CSIClient {
    /// All volumes of the driver. Entries without a `volume_id`, which the specification requires, are left out: they
    /// say nothing of any volume, and the others are good.
    ///
    /// Source: CSI specification, ListVolumes.
    public func listVolumes() -> DriverPages<DriverVolume> {
        let method = CSIMethodName.listVolumes
        return DriverPages(method: method) { token throws(CSIError) in
            var request = CSIListVolumesRequest()
            request.maxEntries = self.configuration.maxEntries
            request.startingToken = token
            return try await self.call(method, request, returning: CSIListVolumesResponse.self) {
                bytes throws(CSIError) in try DriverPage(bytes, method: method)
            }
        } items: { part in
            self.warn(ofUnidentifiable: part.unidentifiable, method: method)
            return part.items
        }
    }

    /// What the driver says of one volume.
    ///
    /// - Throws: ``CSIError``; a driver that does not know the volume answers NotFound, or OK and an abnormal condition.
    ///   An answer without a volume, or for another one, is ``CSIError/Code/invalidResponse``.
    ///
    /// Source: CSI specification, ControllerGetVolume (GET_VOLUME).
    public func getVolume(id: String) async throws(CSIError) -> DriverVolume {
        let method = CSIMethodName.controllerGetVolume
        var request = CSIControllerGetVolumeRequest()
        request.volumeID = id
        return try await call(method, request, returning: CSIControllerGetVolumeResponse.self) {
            bytes throws(CSIError) in try DriverVolume(reply: bytes, askedFor: id)
        }
    }

    /// One bad entry must not hide all the others; a driver that has some is warned of once.
    func warn(ofUnidentifiable count: Int, method: String) {
        guard count > 0, isFirstUnidentifiableEntry() else { return }
        logger.warning(
            "The driver lists entries without a volume_id, which are ignored",
            metadata: ["method": "\(method)", "entries": "\(count)"]
        )
    }
}
