// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesClient

@Suite struct WatchFrameTests {
    private static func frame(_ body: [UInt8]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
    }

    private func decode(_ pieces: [[UInt8]], limit: Int = 1 << 20) throws -> (frames: [[UInt8]], isWithinFrame: Bool) {
        var decoder = WatchFrameDecoder(limit: limit)
        var frames: [[UInt8]] = []
        for piece in pieces {
            decoder.append(piece)
            while let frame = try decoder.next({ bytes in bytes.indices.map { bytes[$0] } }) { frames.append(frame) }
        }
        return (frames, decoder.isWithinFrame)
    }

    private let bodies: [[UInt8]] = [[], [1], Array(repeating: 7, count: 300), [], [2, 3]]

    @Test func `a body that is split at any byte has the same frames`() throws {
        let stream = bodies.flatMap(Self.frame)
        for first in 0...stream.count {
            for second in stride(from: first, through: stream.count, by: 13) {
                let pieces = [stream[..<first], stream[first..<second], stream[second...]].map(Array.init)
                let result = try decode(pieces)
                #expect(result.frames == bodies)
                #expect(!result.isWithinFrame)
            }
        }
        #expect(try decode(stream.map { [$0] }).frames == bodies)
    }

    @Test func `an end within a frame is detected`() throws {
        let stream = Self.frame([1, 2, 3])
        for end in 1..<stream.count {
            let result = try decode([Array(stream[..<end])])
            #expect(result.frames.isEmpty)
            #expect(result.isWithinFrame)
        }
    }

    @Test func `a frame beyond the limit is an error`() throws {
        #expect(try decode([Self.frame([1, 2, 3])], limit: 3).frames == [[1, 2, 3]])
        #expect(throws: WireError.self) { try decode([[0, 0, 0, 4]], limit: 3) }
        #expect(throws: WireError.self) { try decode([[0xFF, 0xFF, 0xFF, 0xFF]]) }
    }
}

@Suite struct WatchEventTests {
    private func envelope(_ kind: String, _ apiVersion: String, _ message: some Message) throws -> [UInt8] {
        var unknown = Unknown()
        unknown.typeMeta.kind = kind
        unknown.typeMeta.apiVersion = apiVersion
        unknown.raw = try message.serializedBytes()
        return try Envelope.prefix + unknown.serializedBytes()
    }

    private func frame(_ type: String, _ object: [UInt8]) throws -> WatchFrame<PersistentVolume> {
        var event = WatchEvent()
        event.type = type
        event.object.raw = Data(object)
        let bytes: [UInt8] = try event.serializedBytes()
        return try WatchFrame(bytes.span)
    }

    private var volume: PersistentVolume {
        var volume = PersistentVolume()
        volume.metadata.name = "pv"
        volume.metadata.resourceVersion = "5"
        volume.spec.persistentVolumeSource.csi.volumeHandle = "handle"
        return volume
    }

    @Test func `every event type is decoded`() throws {
        let object = try envelope("PersistentVolume", "v1", volume)
        guard case .change(.added(volume)) = try frame("ADDED", object),
            case .change(.modified(volume)) = try frame("MODIFIED", object),
            case .change(.deleted(volume)) = try frame("DELETED", object),
            case .change(.bookmark(resourceVersion: "5", endsInitialEvents: false)) = try frame("BOOKMARK", object)
        else {
            Issue.record("the decoded change differs from the encoded one")
            return
        }
    }

    @Test func `an ERROR event has a Status`() throws {
        var status = Status()
        status.code = 410
        guard case .error(status) = try frame("ERROR", envelope("Status", "v1", status)) else {
            Issue.record("no error")
            return
        }
    }

    @Test func `anything but an event of this resource is an error`() throws {
        let object = try envelope("PersistentVolume", "v1", volume)
        #expect(throws: WireError.self) { try frame("RENAMED", object) }
        #expect(throws: WireError.self) { try frame("ERROR", object) }
        #expect(throws: WireError.self) { try frame("ADDED", envelope("Pod", "v1", volume)) }
        #expect(throws: WireError.self) { try frame("ADDED", envelope("PersistentVolume", "v2", volume)) }
        #expect(throws: WireError.self) { try frame("ADDED", Array("{}".utf8)) }
        #expect(throws: WireError.self) { try WatchFrame<PersistentVolume>(([0xFF] as [UInt8]).span) }
    }

    @Test func `unknown fields of a listed object are dropped`() throws {
        var extended = volume
        // Field 100, a varint: a field of a later Kubernetes version.
        try extended.merge(serializedBytes: [0xA0, 0x06, 0x01] as [UInt8])
        let bytes = try envelope("PersistentVolume", "v1", extended)
        let listed = try Envelope(bytes.span).object(PersistentVolume.self, in: bytes.span)
        #expect(listed == volume)
    }

    @Test func `an encoded object is decoded again`() throws {
        let body = try Envelope.encode(volume)
        #expect(body.starts(with: Array("k8s\0".utf8)))
        let decoded = try Envelope(body.span).object(PersistentVolume.self, in: body.span)
        #expect(decoded == volume)
    }
}
