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
        return DriverPages(method: method) { token async throws(CSIError) in
            var request = CSIListVolumesRequest()
            request.maxEntries = self.configuration.maxEntries
            request.startingToken = token
            let response = try await self.call(method, request, returning: CSIListVolumesResponse.self)
            let entries = self.identifiable(response.entries, method: method) { $0.volume.volumeID }
            return DriverPages.Page(items: entries.map(DriverVolume.init), nextToken: response.nextToken)
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
        let response = try await call(method, request, returning: CSIControllerGetVolumeResponse.self) {
            response throws(CSIError) in
            guard response.hasVolume else { throw .missing("volume", method: method) }
            try check(response.volume.volumeID, isFor: id, method: method)
        }
        return DriverVolume(
            id: id,
            condition: response.status.hasVolumeCondition ? .init(response.status.volumeCondition) : nil
        )
    }

    /// A driver's answer must be for the volume that was asked for: what it says of another one is no word about ours.
    func check(_ answered: String, isFor id: String, method: String) throws(CSIError) {
        guard answered != id else { return }
        throw CSIError(
            code: .invalidResponse,
            method: method,
            message: "asked for volume \"\(id)\", the driver answered for \"\(answered)\""
        )
    }

    /// A page without the entries that say of no volume what they say. One bad entry must not hide all the others; a
    /// driver that has some is warned of once.
    func identifiable<Entry>(_ entries: [Entry], method: String, id: (Entry) -> String) -> [Entry] {
        let identifiable = entries.filter { !id($0).isEmpty }
        if identifiable.count < entries.count, isFirstUnidentifiableEntry() {
            logger.warning(
                "The driver lists entries without a volume_id, which are ignored",
                metadata: ["method": "\(method)", "entries": "\(entries.count - identifiable.count)"]
            )
        }
        return identifiable
    }
}

extension DriverVolume {
    fileprivate init(_ entry: CSIListVolumesResponse.Entry) {
        self.init(
            id: entry.volume.volumeID,
            condition: entry.status.hasVolumeCondition ? .init(entry.status.volumeCondition) : nil
        )
    }
}
