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

/// Counts the allocations for each volume in large lists: in a healthy driver's pages, and in the API server's. The
/// bytes are decoded and passed to the core as by the monitor, without sockets. Then all volumes turn unhealthy, and
/// the reports that wait are counted, as for the log every 15 seconds.
///
/// Fails when a count exceeds its limit. The limits are for an optimised build, and deterministic except for the growth
/// of tables; with `--no-limits` only those are applied that hold for any build. When a count gets lower, lower its
/// limit too.
@main
enum Allocations {
    private struct Row {
        var what: String
        var counted: Double
        var limit: Double
        var holdsForAnyBuild = false
    }

    static let volumes = 1000
    static let repetitions = 10

    static func main() throws {
        var healthState = HealthState()
        let rows = [
            Row(
                what: "allocations for each PersistentVolume of a list",
                counted: try countVolumes(&healthState),
                limit: 6
            ),
            Row(
                what: "allocations for each PersistentVolumeClaim of a list",
                counted: try countClaims(&healthState),
                limit: 4.5
            ),
            Row(
                what: "allocations for each volume and sweep, ListVolumes",
                counted: try countSweeps(&healthState),
                limit: 1.2
            ),
            Row(
                what: "allocations for a count of the reports that wait, an outage of all volumes",
                counted: try countCounts(&healthState),
                limit: 0,
                holdsForAnyBuild: true
            ),
        ]
        print("| What | Counted | Limit |\n| --- | --- | --- |")
        for row in rows { print("| \(row.what) | \((row.counted * 100).rounded() / 100) | \(row.limit) |") }
        let hasLimits = !CommandLine.arguments.contains("--no-limits")
        let exceeded = rows.filter { $0.counted > $0.limit && (hasLimits || $0.holdsForAnyBuild) }
        if !exceeded.isEmpty { throw LimitExceeded(what: exceeded.map(\.what)) }
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
        return try allocationsForEachVolume {
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
        return try allocationsForEachVolume {
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
        let counted = try allocationsForEachVolume {
            for _ in 0..<repetitions {
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
        return counted / Double(repetitions)
    }

    /// A copy of a queue is at least one allocation, and megabytes in an outage of 20,000 volumes.
    private static func countCounts(_ healthState: inout HealthState) throws -> Double {
        let conditions = [VolumeHealthCondition(abnormalMessage: "3 of 12 paths have failed")]
        healthState.beginSweep(at: .zero)
        for number in 0..<volumes {
            healthState.receive(VolumeHealthReport(volumeHandle: handle(number), conditions: conditions), at: .zero)
        }
        _ = healthState.endSweep(.complete(.everyVolume, canConfirm: true), at: .zero)
        // Some reports are under way.
        while case .run = healthState.nextEvent(at: .zero) {}
        while case .run = healthState.nextStatus(at: .zero) {}
        // The first count may allocate what the runtime keeps.
        var waiting = healthState.eventBacklog.depth + healthState.statusBacklog.depth
        let counted = allocations {
            for _ in 0..<repetitions { waiting += healthState.eventBacklog.depth + healthState.statusBacklog.depth }
        }
        let expected = (repetitions + 1) * 2 * volumes
        guard waiting == expected else { throw UnexpectedCount(found: waiting, expected: expected) }
        return counted / Double(repetitions)
    }

    /// The allocations of `body` for each volume.
    private static func allocationsForEachVolume(_ body: () throws -> Void) rethrows -> Double {
        try allocations(body) / Double(volumes)
    }

    private static func allocations(_ body: () throws -> Void) rethrows -> Double {
        let before = CAllocationCounter_count()
        try body()
        return Double(CAllocationCounter_count() - before)
    }

    /// A page of a list, as the API server sends it.
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

    /// As long as the names and handles of provisioned volumes.
    private static func name(_ number: Int) -> String { "pvc-\(uid(number))" }
    private static func handle(_ number: Int) -> String { "vol-\(uid(number))" }
    private static func uid(_ number: Int) -> String { "0b8b2c6e-7f3d-4e0a-9c55-\(100_000_000_000 + number)" }
}

/// Not all reports wait whose number is counted.
struct UnexpectedCount: Error, CustomStringConvertible {
    let found: Int
    let expected: Int

    var description: String { "\(found) reports were counted, not \(expected)" }
}

/// More is allocated than the limits allow.
struct LimitExceeded: Error, CustomStringConvertible {
    let what: [String]

    var description: String { "above the limit: \(what.joined(separator: ", "))" }
}
