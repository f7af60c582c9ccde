// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport

/// One call to the driver, and its outcome. Requests have no secrets.
package struct Exchange<Reply: Sendable>: Sendable {
    package enum Outcome: Sendable {
        case reply(Reply)
        case failed(GRPCStatus)
        /// The status is OK, and the bytes are not the RPC's response.
        case undecodable(String)
    }

    /// The RPC's name: `ListVolumes`.
    package var method: String
    /// The fields of the request, as text.
    package var request: String
    package var outcome: Outcome
    /// The response or the status as text, bounded.
    package var received: String
    package var duration: Duration

    package init(method: String, request: String, outcome: Outcome, received: String, duration: Duration) {
        self.method = method
        self.request = request
        self.outcome = outcome
        self.received = received
        self.duration = duration
    }

    /// The RPC and the fields of the request.
    var sent: String { request.isEmpty ? method : "\(method) \(request)" }

    var reply: Reply? {
        if case .reply(let reply) = outcome { reply } else { nil }
    }

    /// nil for a status of OK.
    var failure: GRPCStatus? {
        if case .failed(let status) = outcome { status } else { nil }
    }
}

// MARK: Replies, the same for both generations of the health API

/// A volume as a response describes it.
package struct VolumeReply: Sendable, Hashable {
    package enum Health: Sendable, Hashable {
        /// A VolumeCondition (CSI 1.3 to 1.12).
        case condition(isAbnormal: Bool, message: String)
        /// The health_statuses of a VolumeHealth (CSI 1.13 and later).
        case statuses([HealthEntry])
    }

    /// Empty where it is missing.
    package var id: String
    /// nil where the response has none.
    package var health: Health?

    package init(id: String, health: Health?) {
        self.id = id
        self.health = health
    }
}

/// A VolumeHealthEntry or a StorageBackendHealth.
package struct HealthEntry: Sendable, Hashable {
    /// The number of the error type; 0 where it is missing.
    package var status: Int
    package var reason: String
    package var message: String
    /// The encoded fields that this program does not read, such as volume_capability.
    package var otherFields: [UInt8] = []

    package init(status: Int, reason: String, message: String, otherFields: [UInt8] = []) {
        self.status = status
        self.reason = reason
        self.message = message
        self.otherFields = otherFields
    }
}

/// A response to ListVolumes or ControllerListVolumeHealth.
package struct ListPage: Sendable, Hashable {
    package var volumes: [VolumeReply]
    package var nextToken: String

    package init(volumes: [VolumeReply], nextToken: String = "") {
        self.volumes = volumes
        self.nextToken = nextToken
    }
}

/// A response about one volume.
package struct GetReply: Sendable, Hashable {
    /// Whether the message of the volume is there: `volume` or `volume_health`.
    package var hasVolume: Bool
    package var volume: VolumeReply

    package init(hasVolume: Bool = true, volume: VolumeReply) {
        self.hasVolume = hasVolume
        self.volume = volume
    }
}

/// A response to GetPluginInfo.
package struct PluginInfo: Sendable, Hashable {
    package var name: String
    package var vendorVersion: String

    package init(name: String, vendorVersion: String) {
        self.name = name
        self.vendorVersion = vendorVersion
    }
}
