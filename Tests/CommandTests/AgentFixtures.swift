// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

@testable import NodeCore
@testable import NodeMonitor

extension NodeMonitorStatus.Driver {
    /// A driver of CSI 1.13 that is connected; one that is not supported, or not identified, has no method.
    static func fixture(
        _ name: String?,
        failure: String? = nil,
        isSupported: Bool? = true,
        isHanging: Bool = false,
        problem: String? = nil,
        sweepAge: Duration? = nil
    ) -> Self {
        .init(
            name: name,
            address: "/csi/csi.sock",
            version: name == nil ? "" : "1.2",
            method: isSupported == true && name != nil ? "NodeGetVolumeHealth" : nil,
            failure: failure.map { .init(age: .seconds(60), reason: $0) },
            isSupported: isSupported,
            isHanging: isHanging,
            problem: problem,
            sweepAge: sweepAge
        )
    }
}

extension NodeMonitorStatus {
    /// A node whose watch of pods is open.
    static func fixture(_ drivers: [Driver], discoveryProblem: String? = nil) -> Self {
        .init(
            drivers: drivers,
            discoveryProblem: discoveryProblem,
            watch: .init(silence: .seconds(20), failure: nil)
        )
    }
}

extension NodeHealthSnapshot.Driver {
    /// A connected driver with so many volumes.
    static func fixture(
        _ name: String,
        counts: NodeHealthSnapshot.Counts,
        storage: StorageHealth? = nil
    ) -> Self {
        .init(
            name: name,
            isConnected: true,
            isSupported: true,
            isHanging: false,
            problem: nil,
            counts: counts,
            storage: storage
        )
    }
}
