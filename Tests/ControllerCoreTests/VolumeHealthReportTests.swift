// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct VolumeHealthReportTests {
    static func condition(
        _ status: VolumeHealthCondition.Status,
        _ reason: String,
        _ message: String = ""
    ) -> VolumeHealthCondition {
        VolumeHealthCondition(status: status, reason: reason, message: message)
    }

    @Test func `conditions are ordered by severity, then by reason`() {
        let report = VolumeHealthReport(
            volumeHandle: "h",
            conditions: [
                Self.condition(.degraded, "B"), Self.condition(.dataLoss, "Z"), Self.condition(.degraded, "A"),
                Self.condition(.inaccessible, "M"),
            ]
        )
        #expect(report.conditions.map(\.reason) == ["Z", "M", "A", "B"])
    }

    @Test func `conditions with the same status and reason are one`() {
        let report = VolumeHealthReport(
            volumeHandle: "h",
            conditions: [
                Self.condition(.degraded, "A", "first"), Self.condition(.degraded, "A", "second"),
                Self.condition(.dataLoss, "A", "third"),
            ]
        )
        #expect(report.conditions.map(\.message) == ["third", "first"])
    }

    @Test func `of more conditions than the server accepts, the worst remain`() {
        let report = VolumeHealthReport(
            volumeHandle: "h",
            conditions: (0..<40).map { Self.condition($0 == 39 ? .dataLoss : .degraded, "R\($0 + 100)") },
            unknownConditions: (0..<40).map { UnknownCondition(type: $0 + 4, reason: "", message: "") }
        )
        #expect(report.conditions.count == 16)
        #expect(report.conditions.first?.status == .dataLoss)
        #expect(report.unknownConditions.count == 16)
    }

    @Test func `an empty reason becomes Unspecified`() {
        #expect(Self.condition(.degraded, "").reason == "Unspecified")
    }

    @Test(arguments: ["a", "é", "字", "🪵"])
    func `long texts are cut at the boundary of a Unicode scalar`(character: String) {
        let condition = Self.condition(
            .degraded,
            String(repeating: character, count: 1000),
            String(repeating: character, count: 1_000_000)
        )
        #expect(condition.reason.utf8.count <= 256)
        #expect(condition.reason.utf8.count > 252)
        #expect(condition.message.utf8.count <= 1024)
        #expect(condition.message.utf8.count > 1020)
        #expect(condition.message.allSatisfy { String($0) == character })
    }

    @Test func `reasons that are equal after truncation are one condition`() {
        let long = String(repeating: "R", count: 256)
        let report = VolumeHealthReport(
            volumeHandle: "h",
            conditions: [Self.condition(.degraded, long + "1"), Self.condition(.degraded, long + "2")]
        )
        #expect(report.conditions.count == 1)
    }

    /// kubernetes/kubernetes#142280: a driver that returns one reason twice, in the order of a Go map.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `the order of conditions does not matter`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let conditions = (0..<Int.random(in: 0...40, using: &random)).map { _ in
            VolumeHealthCondition(
                status: .allCases.randomElement(using: &random) ?? .degraded,
                reason: "R\(Int.random(in: 0..<10, using: &random))",
                message: "M\(Int.random(in: 0..<4, using: &random))"
            )
        }
        let unknown = (0..<Int.random(in: 0...40, using: &random)).map { _ in
            UnknownCondition(
                type: Int.random(in: 4..<8, using: &random),
                reason: "R\(Int.random(in: 0..<10, using: &random))",
                message: "M\(Int.random(in: 0..<4, using: &random))"
            )
        }
        let report = VolumeHealthReport(volumeHandle: "h", conditions: conditions, unknownConditions: unknown)
        let shuffled = VolumeHealthReport(
            volumeHandle: "h",
            conditions: conditions.shuffled(using: &random),
            unknownConditions: unknown.shuffled(using: &random)
        )
        #expect(report == shuffled)
        #expect(VolumeState(report.conditions) == VolumeState(shuffled.conditions))
    }

    /// At most 16 conditions, unique, not empty, reasons of 256 bytes and messages of 1,024 bytes.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `a report keeps the limits of the API`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var report = VolumeHealthReport(volumeHandle: "h", conditions: [])
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let conditions = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                Self.condition(
                    VolumeHealthCondition.Status.allCases.randomElement(using: &random) ?? .degraded,
                    Self.text(upTo: 300, using: &random),
                    Self.text(upTo: 1200, using: &random)
                )
            }
            report.merge(VolumeHealthReport(volumeHandle: "h", conditions: conditions))
        }
        #expect(report.conditions.count <= 16)
        #expect(Set(report.conditions.map(\.identity)).count == report.conditions.count)
        for condition in report.conditions {
            #expect((1...256).contains(condition.reason.utf8.count))
            #expect(condition.message.utf8.count <= 1024)
        }
        #expect(report.conditions.map(\.status) == report.conditions.map(\.status).sorted(by: >))
    }

    static func text(upTo limit: Int, using random: inout SeededGenerator) -> String {
        let alphabet: [Character] = ["a", "é", "字", "🪵", "\n", "👨‍👩‍👧"]
        let length = Int.random(in: 0...2, using: &random) == 0 ? 0 : Int.random(in: 0...limit, using: &random)
        return String((0..<length).map { _ in alphabet.randomElement(using: &random) ?? "a" })
    }
}
