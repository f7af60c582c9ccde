// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI
import ProtobufWire
import SwiftProtobuf
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// Volumes and claims as they are read from bytes, compared with the generated messages. `WatchFrames` in FuzzTargets
/// does the same with any bytes.
@Suite struct WatchedObjectTests {
    private func bound() -> PersistentVolume {
        .with {
            $0.metadata.name = "pv"
            $0.metadata.resourceVersion = "7"
            $0.metadata.labels = ["a": "b"]
            $0.spec.persistentVolumeSource.csi.driver = "driver"
            $0.spec.persistentVolumeSource.csi.volumeHandle = "handle"
            $0.spec.claimRef.namespace = "default"
            $0.spec.claimRef.name = "data"
            $0.spec.claimRef.uid = "uid"
            $0.status.phase = "Bound"
        }
    }

    @Test func `a bound volume is read`() throws {
        let volume = try WatchedVolume(bound())
        #expect(volume.driver == "driver")
        #expect(volume.resourceVersion == "7")
        #expect(
            volume.monitored(secrets: .nodeStage)
                == MonitoredVolume(
                    name: "pv",
                    handle: "handle",
                    claim: ClaimKey(namespace: "default", name: "data"),
                    claimUID: "uid",
                    isBound: true
                )
        )
    }

    @Test func `a volume without a claim is read`() throws {
        var volume = bound()
        volume.spec.clearClaimRef()
        volume.status.phase = "Available"
        let monitored = try WatchedVolume(volume).monitored(secrets: .none)
        #expect(monitored.claim == nil)
        #expect(!monitored.isBound)
    }

    @Test func `a volume without a CSI source has no driver`() throws {
        var volume = bound()
        volume.spec.clearPersistentVolumeSource()
        #expect(try WatchedVolume(volume).driver.isEmpty)
    }

    /// The generated message has neither field: encoded with the field numbers of
    /// `k8s.io/api/core/v1/generated.proto`.
    @Test func `the StorageClass and the topology of a volume are read`() throws {
        func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
            [number << 3 | 2, UInt8(content.count)] + content
        }
        func text(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
        func required(_ zone: String) -> [UInt8] {
            let zone = field(1, text(1, "zone") + text(2, "In") + text(3, zone))
            let region = field(1, text(1, "region") + text(2, "In") + text(3, "r"))
            return field(9, field(1, field(1, zone + region)))
        }
        let whole: [UInt8] = try bound().serializedBytes()
        func placement(_ spec: [UInt8]) throws -> VolumePlacement {
            try WatchedVolume(reading: (whole + field(2, spec)).span).monitored(secrets: .none).placement
        }
        let (zone, region) = (TopologySegment(key: "zone", value: "b"), TopologySegment(key: "region", value: "r"))
        #expect(
            try placement(text(6, "gold") + required("b"))
                == VolumePlacement(storageClass: "gold", segments: [region, zone])
        )
        #expect(try placement(text(6, "gold")) == VolumePlacement(storageClass: "gold"))
        #expect(try placement(required("a") + required("b")) == VolumePlacement(segments: [region]))
        #expect(try placement(field(9, [0x0A, 5])) == VolumePlacement())
        #expect(try WatchedVolume(bound()).monitored(secrets: .none).placement == VolumePlacement())
    }

    @Test func `a claim is read`() throws {
        var claim = PersistentVolumeClaim()
        claim.metadata.namespace = "default"
        claim.metadata.name = "data"
        claim.metadata.uid = "uid"
        claim.metadata.resourceVersion = "9"
        claim.spec.volumeName = "pv"
        claim.status.healthStatus.healthConditions = [("Degraded", "a"), ("Sleepy", "b"), ("DataLoss", "c")].map {
            pair in
            .with {
                $0.status = pair.0
                $0.reason = pair.1
                $0.message = "m"
            }
        }
        let watched = try WatchedClaim(claim)
        let key = ClaimKey(namespace: "default", name: "data")
        #expect(watched.claim == Claim(key: key, uid: "uid", resourceVersion: "9"))
        #expect(watched.volumeName == "pv")
        #expect(watched.healthStatus == claim.status.healthStatus.conditions)
        #expect(watched.healthStatus.map(\.reason) == ["a", "c"])
    }

    @Test func `bytes that are not an object are refused`() {
        for bytes in [[0x0A, 5, 1], [0x12, 2, 0x12, 5]] as [[UInt8]] {
            #expect(throws: (any Error).self) { try WatchedVolume(reading: bytes.span) }
            #expect(throws: (any Error).self) { try PersistentVolume(serializedBytes: bytes) }
        }
        #expect(throws: (any Error).self) { try WatchedClaim(reading: ([0x0A, 3, 0x0A, 5, 1] as [UInt8]).span) }
    }

    @Test func `texts that are not UTF-8 match no valid name`() throws {
        // spec.volumeName: FF FE
        let claim = try WatchedClaim(reading: ([0x0A, 3, 0x0A, 1, 0x61, 0x12, 4, 0x1A, 2, 0xFF, 0xFE] as [UInt8]).span)
        #expect(claim.claim.key.name == "a")
        #expect(claim.volumeName == "\u{FFFD}\u{FFFD}")
    }

    /// Such a volume cannot be monitored; the count makes it visible.
    @Test func `a volume whose handle is not UTF-8 counts as undecodable`() {
        // spec.persistentVolumeSource.csi: driver "d", volumeHandle FF
        let source: [UInt8] = [0xB2, 1, 6, 0x0A, 1, 0x64, 0x12, 1, 0xFF]
        let spec: [UInt8] = [0x12, 9] + source
        let bytes: [UInt8] = [0x0A, 3, 0x0A, 1, 0x61, 0x12, 11] + spec
        #expect(throws: WireFormatError.self) { try WatchedVolume(reading: bytes.span) }
    }

    @Test(arguments: [(253, true), (254, false)])
    func `a name longer than the limit takes no memory`(length: Int, isKept: Bool) throws {
        var claim = PersistentVolumeClaim()
        claim.spec.volumeName = String(repeating: "a", count: length)
        #expect(try WatchedClaim(claim).volumeName == (isKept ? claim.spec.volumeName : ""))
        var volume = bound()
        volume.spec.claimRef.uid = claim.spec.volumeName
        volume.spec.persistentVolumeSource.csi.volumeHandle = String(repeating: "h", count: 3000)
        let monitored = try WatchedVolume(volume).monitored(secrets: .none)
        #expect(monitored.claimUID == (isKept ? claim.spec.volumeName : ""))
        #expect(monitored.handle.utf8.count == 3000)
    }
}

extension WatchedVolume {
    init(_ volume: PersistentVolume) throws {
        let bytes: [UInt8] = try volume.serializedBytes()
        try self.init(reading: bytes.span)
    }
}

extension WatchedClaim {
    init(_ claim: PersistentVolumeClaim) throws {
        let bytes: [UInt8] = try claim.serializedBytes()
        try self.init(reading: bytes.span)
    }
}
