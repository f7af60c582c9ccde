// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension NodeHealthState {
    /// The driver responds to Probe again, after ``driverUnresponsive(_:at:)``, on the same connection.
    package mutating func driverResponded(_ name: String) -> [NodeDriverChange] {
        guard drivers[name]?.respondedWithoutVolume() == true else { return [] }
        probePlans += 1
        return [.stoppedHanging]
    }
}
