// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesClient

@Suite struct EventRecordTests {
    @Test func `a message is truncated between characters`() {
        for character in ["x", "é", "€", "😀"] {
            let text = String(repeating: character, count: 1100)
            for padding in 0..<4 {
                let cut = EventRecord.bounded(String(repeating: "-", count: padding) + text, to: 1024)
                #expect(cut.utf8.count <= 1024)
                #expect(cut.utf8.count > 1024 - character.utf8.count)
                #expect(!cut.contains("\u{FFFD}"))
                #expect(cut.hasSuffix(character))
            }
        }
        let exact = String(repeating: "x", count: 1024)
        #expect(EventRecord.bounded(exact, to: 1024) == exact)
    }

    @Test func `events on cluster-scoped objects are in the namespace default`() {
        var record = EventRecord(
            name: "e",
            involvedObject: ObjectReference(),
            type: .warning,
            reason: "R",
            message: "m",
            component: "c",
            instance: "i",
            time: Time(),
            attemptID: "1"
        )
        #expect(record.namespace == "default")
        record.involvedObject.namespace = "shop"
        #expect(record.namespace == "shop")
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `RecordedEvent reads the same as the generated message`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var event = Event()
        event.message = "m"
        if Bool.random(using: &random) { event.metadata.resourceVersion = "\(seed)" }
        if Bool.random(using: &random) { event.metadata.annotations["other/attemptID"] = "no" }
        if Bool.random(using: &random) { event.metadata.annotations["example.com/attempt-id"] = "t\(seed)" }
        event.count = Bool.random(using: &random) ? .random(in: .min ... .max, using: &random) : 0
        if Bool.random(using: &random) { event.firstTimestamp.seconds = .random(in: .min ... .max, using: &random) }
        if Bool.random(using: &random) { event.lastTimestamp.seconds = .random(in: .min ... .max, using: &random) }
        let bytes: [UInt8] = try event.serializedBytes()
        let recorded = try RecordedEvent(reading: bytes.span)
        #expect(recorded.resourceVersion == event.metadata.resourceVersion)
        #expect(recorded.count == Int(event.count))
        #expect(recorded.firstTime == event.firstTimestamp.seconds)
        #expect(recorded.lastTime == event.lastTimestamp.seconds)
        #expect(recorded.annotations == event.metadata.annotations)
        // What reading back uses of a list.
        let listed = try Event(reading: bytes.span)
        #expect(listed.firstTimestamp.seconds == event.firstTimestamp.seconds)
        #expect(listed.lastTimestamp.seconds == event.lastTimestamp.seconds)
        #expect(listed.count == event.count)
        #expect(throws: (any Error).self) { try RecordedEvent(reading: Array(bytes.dropLast()).span) }
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_790_000_000, "2026-09-21T14:13:20Z"),
        (4_102_444_799, "2099-12-31T23:59:59Z"),
    ])
    func `a timestamp is in RFC 3339 format`(_ seconds: Int64, text: String) {
        #expect(EventRecord.timestamp(seconds) == text)
    }

    @Test(
        arguments: [
            (.min, "0001-01-"), (-62_135_596_800, "0001-01-"), (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"), (.max, "9999-12-31T23:59:59Z"),
        ] as [(Int64, String)]
    )
    func `any time has a timestamp in RFC 3339 format`(_ seconds: Int64, text: String) {
        let timestamp = EventRecord.timestamp(seconds)
        #expect(timestamp.hasPrefix(text))
        #expect(timestamp.count == "0001-01-01T00:00:00Z".count)
    }
}
