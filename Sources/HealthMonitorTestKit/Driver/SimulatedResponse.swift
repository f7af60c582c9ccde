// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport

/// A response of a ``SimulatedDriver``.
package enum SimulatedResponse: Sendable {
    /// OK with this message.
    case reply([UInt8])
    /// Another status.
    case fail(GRPCStatus.Code, String)
    /// No response until the caller cancels, its deadline expires or the driver stops.
    case never
}

// MARK: - Responses with volumes that a test chooses; field numbers: container-storage-interface/spec, csi.proto

extension SimulatedResponse {
    /// A page of ListVolumes.
    package static func volumes(_ volumes: [SimulatedVolume], nextToken: String = "") -> SimulatedResponse {
        page(volumes.lazy.map(\.encoded), nextToken: nextToken)
    }

    /// A page of ControllerListVolumeHealth, with entries for healthy volumes too.
    package static func volumeHealth(_ volumes: [SimulatedVolume], nextToken: String = "") -> SimulatedResponse {
        page(volumes.lazy.map(\.encodedHealth), nextToken: nextToken)
    }

    /// A response to ControllerGetVolume, for whatever volume was requested.
    package static func volume(_ volume: SimulatedVolume) -> SimulatedResponse {
        .reply(volume.encoded)
    }

    /// A response to ControllerGetVolumeHealth, for whatever volume was requested; nil omits the required
    /// volume_health.
    package static func volumeHealth(_ volume: SimulatedVolume?) -> SimulatedResponse {
        var response = WireWriter()
        if let volume { response.bytes(volume.encodedHealth, field: 1) }
        return .reply(response.bytes)
    }

    /// Both lists have the same fields: entries=1, next_token=2.
    static func page(_ entries: some Sequence<[UInt8]>, nextToken: String) -> SimulatedResponse {
        var response = WireWriter()
        for entry in entries { response.bytes(entry, field: 1) }
        if !nextToken.isEmpty { response.bytes(nextToken.utf8, field: 2) }
        return .reply(response.bytes)
    }
}
