// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec

extension CSIClient {
    /// The health of the driver's volumes. Those that are well should be left out, and may be there. A volume that
    /// comes twice, in one page or in two, is handed on as it comes; entries without a `volume_id` are left out as in
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
            self.warn(ofUnidentifiable: part.unidentifiable, method: method)
            return part.items.map { redaction($0) }
        }
    }

    /// The health of one volume.
    ///
    /// - Parameter secrets: sent with the call, and never logged.
    /// - Throws: ``CSIError``; ``CSIError/isNotFound`` where the driver does not know the volume. An answer without
    ///   `volume_health`, or for another volume, is ``CSIError/Code/invalidResponse``: it does not say that the volume
    ///   is well.
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
            _ throws(CSIError) in Redaction(secrets)(try DriverVolumeHealth(reply: bytes, askedFor: id))
        }
    }
}

/// A request whose secrets go to the driver and nowhere else.
protocol SecretBearing {
    var secrets: [String: String] { get set }
}

extension CSIControllerListVolumeHealthRequest: SecretBearing {}
extension CSIControllerGetVolumeHealthRequest: SecretBearing {}

/// A reply to a request with secrets, which may repeat them in any of its texts.
protocol Redactable {
    mutating func redact(_ redaction: Redaction)
}

extension CSIVolumeHealth: Redactable {
    mutating func redact(_ redaction: Redaction) {
        volumeID = redaction(volumeID)
        for index in healthStatuses.indices {
            healthStatuses[index].reason = redaction(healthStatuses[index].reason)
            healthStatuses[index].message = redaction(healthStatuses[index].message)
        }
    }
}

extension CSIControllerListVolumeHealthResponse: Redactable {
    mutating func redact(_ redaction: Redaction) {
        nextToken = redaction(nextToken)
        for index in entries.indices { entries[index].redact(redaction) }
    }
}

extension CSIControllerGetVolumeHealthResponse: Redactable {
    mutating func redact(_ redaction: Redaction) {
        if hasVolumeHealth { volumeHealth.redact(redaction) }
    }
}
