// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import Logging

extension CSIClient {
    /// All volumes of the driver. Entries without a `volume_id`, which the specification requires, are left out: they
    /// say nothing of any volume, and the others are good.
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
            self.warn(ofUnidentifiable: part.unidentifiable, method: method)
            return part.items
        }
    }

    /// What the driver says of one volume.
    ///
    /// The reply counts for the volume that was asked for, also where its `volume_id` differs or is missing; that is logged
    /// once per driver and is in the call's observation.
    ///
    /// - Throws: ``CSIError``; a driver that does not know the volume answers NotFound, or OK and an abnormal condition.
    ///   A reply with neither a volume nor a condition is ``CSIError/Code/invalidResponse``.
    ///
    /// Source: CSI specification, ControllerGetVolume (GET_VOLUME).
    package func getVolume(id: String) async throws(CSIError) -> DriverVolume {
        let method = CSIMethodName.controllerGetVolume
        var request = CSIControllerGetVolumeRequest()
        request.volumeID = id
        return try await call(method, request, returning: CSIControllerGetVolumeResponse.self) {
            bytes,
            observation throws(CSIError) in
            let (volume, deviation) = try DriverVolume.read(reply: bytes, askedFor: id)
            observation.deviation = deviation
            if let deviation { self.log(deviation, of: id, method: method) }
            return volume
        }
    }

    private func log(_ deviation: ReplyDeviation, of id: String, method: String) {
        guard isFirst(deviation.kind.rawValue) else { return }
        logger.warning(
            "The driver's replies deviate from the CSI specification, they are used all the same",
            metadata: [
                "method": "\(method)", "deviation": "\(deviation.kind.rawValue)", "volumeHandle": "\(id)",
                "volumeID": "\(deviation.example)",
            ]
        )
    }

    /// One bad entry must not hide all the others; a driver that has some is warned of once.
    func warn(ofUnidentifiable count: Int, method: String) {
        guard count > 0, isFirst("entries without a volume_id") else { return }
        logger.warning(
            "The driver lists entries without a volume_id, which are ignored",
            metadata: ["method": "\(method)", "entries": .stringConvertible(count)]
        )
    }
}
