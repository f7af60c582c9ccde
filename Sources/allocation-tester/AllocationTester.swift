// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CAllocationCounter
import CSIClient
import CSISpec
import ControllerCore
import ControllerMonitor
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf

/// Counts the blocks of memory that a volume costs where there are many: in the pages of a healthy driver's list, and in
/// the pages of the API server's. The bytes are decoded and handed to the core as the monitor does it, without sockets.
///
/// Fails where a count exceeds its limit. The limits are of an optimised build and deterministic but for the growth of
/// tables; who lowers a count lowers its limit.
@main
enum AllocationTester {
    static let volumes = 1000
    static let sweeps = 10

    static func main() throws {
        var healthState = HealthState()
        let results = [
            ("allocations for each PersistentVolume of a list", try countVolumes(&healthState), 6.0),
            ("allocations for each PersistentVolumeClaim of a list", try countClaims(&healthState), 4.5),
            ("allocations for each volume and sweep, ListVolumes", try countSweeps(&healthState), 1.2),
        ]
        print("| What | Counted | Limit |\n| --- | --- | --- |")
        for (what, counted, limit) in results {
            print("| \(what) | \((counted * 100).rounded() / 100) | \(limit) |")
        }
        let exceeded = results.filter { $0.1 > $0.2 }
        if !exceeded.isEmpty, !CommandLine.arguments.contains("--no-limits") {
            throw LimitExceeded(what: exceeded.map(\.0))
        }
    }

    private static func countVolumes(_ healthState: inout HealthState) throws -> Double {
        let page = try page(
            of: (0..<volumes).map { number in
                var volume = PersistentVolume()
                volume.metadata.name = name(number)
                volume.metadata.uid = uid(number)
                volume.spec.persistentVolumeSource.csi.driver = "driver.example.com"
                volume.spec.persistentVolumeSource.csi.volumeHandle = handle(number)
                volume.spec.claimRef.namespace = "default"
                volume.spec.claimRef.name = "data-\(number)"
                volume.spec.claimRef.uid = uid(number)
                volume.status.phase = "Bound"
                return volume
            }
        )
        return try allocations {
            healthState.beginVolumeRelist()
            var page = try ListPage<WatchedVolume>(
                page,
                request: RequestInfo(verb: .list, resource: WatchedVolume.resource)
            )
            while let volume = try page.next() {
                healthState.apply(volume.monitored(secrets: .none), at: .zero)
            }
            healthState.endVolumeRelist(at: .zero)
        }
    }

    private static func countClaims(_ healthState: inout HealthState) throws -> Double {
        let page = try page(
            of: (0..<volumes).map { number in
                var claim = PersistentVolumeClaim()
                claim.metadata.namespace = "default"
                claim.metadata.name = "data-\(number)"
                claim.metadata.uid = uid(number)
                claim.metadata.resourceVersion = "\(1_000_000 + number)"
                claim.spec.volumeName = name(number)
                return claim
            }
        )
        return try allocations {
            healthState.beginClaimRelist()
            var page = try ListPage<WatchedClaim>(
                page,
                request: RequestInfo(verb: .list, resource: WatchedClaim.resource)
            )
            while let claim = try page.next() { healthState.apply(claim, at: .zero) }
            healthState.endClaimRelist(at: .zero)
        }
    }

    private static func countSweeps(_ healthState: inout HealthState) throws -> Double {
        var response = CSIListVolumesResponse()
        response.entries = (0..<volumes).map { number in
            var entry = CSIListVolumesResponse.Entry()
            entry.volume.volumeID = handle(number)
            entry.status.volumeCondition = CSIVolumeCondition()
            return entry
        }
        let page: [UInt8] = try response.serializedBytes()
        let counted = try allocations {
            for _ in 0..<sweeps {
                healthState.beginSweep(at: .zero)
                var page = try DriverPage<DriverVolume>(page, method: CSIMethodName.listVolumes)
                while let part = try page.next() {
                    for volume in part.items {
                        if let report = VolumeHealthReport(volume) { healthState.receive(report, at: .zero) }
                    }
                }
                _ = healthState.endSweep(.complete(.everyVolume, canConfirm: true), at: .zero)
            }
        }
        return counted / Double(sweeps)
    }

    /// How many blocks `body` asks for, for each volume.
    private static func allocations(_ body: () throws -> Void) rethrows -> Double {
        let before = CAllocationCounter_count()
        try body()
        return Double(CAllocationCounter_count() - before) / Double(volumes)
    }

    /// A list as the API server sends it.
    private static func page<Object: KubernetesObject>(of objects: [Object]) throws -> [UInt8] {
        var list = ObjectList()
        list.metadata.resourceVersion = "2000000"
        list.items = try objects.map { try $0.serializedBytes() }
        var content = Unknown()
        content.typeMeta.apiVersion = Object.resource.apiVersion
        content.typeMeta.kind = "\(Object.resource.kind)List"
        content.raw = try list.serializedBytes()
        let bytes: [UInt8] = try content.serializedBytes()
        return Envelope.prefix + bytes
    }

    /// As long as names and handles of provisioned volumes are.
    private static func name(_ number: Int) -> String { "pvc-\(uid(number))" }
    private static func handle(_ number: Int) -> String { "vol-\(uid(number))" }
    private static func uid(_ number: Int) -> String { "0b8b2c6e-7f3d-4e0a-9c55-\(100_000_000_000 + number)" }
}

/// More is allocated than there was.
struct LimitExceeded: Error, CustomStringConvertible {
    let what: [String]

    var description: String { "more than their limits: \(what.joined(separator: ", "))" }
}
