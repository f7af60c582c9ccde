// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import LeaderElection
import VolumeStatus

extension LeaseName {
    /// The Lease of a driver's controllers. The prefix is external-health-monitor's, so that a replica of it and one of
    /// this program contend for the same Lease.
    ///
    /// - Parameter nodeName: the node whose volumes alone are monitored: each node has a Lease of its own. nil if all
    ///   of the driver's volumes are monitored.
    static func controller(driverName: String, nodeName: String?) -> String {
        let suffix = nodeName.map { "-\($0)" } ?? ""
        return sanitized("\(ControllerLease.namePrefix)\(driverName)\(suffix)")
    }
}
