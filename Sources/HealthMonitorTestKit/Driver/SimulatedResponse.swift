// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport

/// What an interceptor answers in the driver's place.
package enum SimulatedResponse: Sendable {
    /// OK, with these bytes for a message.
    case reply([UInt8])
    /// Another status.
    case fail(GRPCStatus.Code, String)
    /// Nothing, until the caller gives up, its deadline is over or the driver stops.
    case never
}

// MARK: - Answers that say of volumes whatever a test likes; numbers: container-storage-interface/spec, csi.proto

extension SimulatedResponse {
    /// A page of ListVolumes, whichever volumes the driver has.
    package static func volumes(_ volumes: [SimulatedVolume], nextToken: String = "") -> SimulatedResponse {
        page(volumes.lazy.map(\.encoded), nextToken: nextToken)
    }

    /// A page of ControllerListVolumeHealth, whichever volumes the driver has, and healthy ones too.
    package static func volumeHealth(_ volumes: [SimulatedVolume], nextToken: String = "") -> SimulatedResponse {
        page(volumes.lazy.map(\.encodedHealth), nextToken: nextToken)
    }

    /// An answer to ControllerGetVolume, whichever volume was asked for.
    package static func volume(_ volume: SimulatedVolume) -> SimulatedResponse {
        .reply(volume.encoded)
    }

    /// An answer to ControllerGetVolumeHealth, whichever volume was asked for; nil leaves out the required volume_health.
    package static func volumeHealth(_ volume: SimulatedVolume?) -> SimulatedResponse {
        var response = WireWriter()
        if let volume { response.bytes(volume.encodedHealth, field: 1) }
        return .reply(response.bytes)
    }

    /// Both lists have one shape: entries=1, next_token=2.
    static func page(_ entries: some Sequence<[UInt8]>, nextToken: String) -> SimulatedResponse {
        var response = WireWriter()
        for entry in entries { response.bytes(entry, field: 1) }
        if !nextToken.isEmpty { response.bytes(nextToken.utf8, field: 2) }
        return .reply(response.bytes)
    }
}
