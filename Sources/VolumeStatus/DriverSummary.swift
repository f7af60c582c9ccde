// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How many claims of a driver were looked at, and how many of them are unhealthy: is it the whole storage system?
package struct DriverSummary: Sendable, Hashable {
    package var name: String
    package private(set) var claims = 0
    package private(set) var byStatus: [VolumeHealthRow.Status: Int] = [:]
    /// nil: this user may not list Leases.
    package var lease: ControllerLease?
    /// Whether a controller or an agent of the driver has recently recorded or refreshed an event.
    package var hasRecentEvent = false

    package init(name: String) {
        self.name = name
    }

    package var unhealthy: Int {
        byStatus.reduce(0) { $0 + ($1.key.isUnhealthy ? $1.value : 0) }
    }

    /// Whether a monitor runs. A Lease that has lapsed outweighs events; a status or a condition of a claim shows
    /// nothing, because it stays when the controller has gone. nil: unknown, because this user may not list Leases and
    /// no event is recent.
    package var isMonitored: Bool? {
        switch lease {
        case .renewed?: true
        case .lapsed?: false
        case .absent?: hasRecentEvent
        case nil: hasRecentEvent ? true : nil
        }
    }

    mutating func add(_ row: VolumeHealthRow) {
        claims += 1
        byStatus[row.status, default: 0] += 1
    }
}
