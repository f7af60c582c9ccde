// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

@Suite struct ProgramImageTests {
    /// A mapping of this process, by proc_pid_smaps(5).
    private struct Mapping {
        var range: Range<UInt>
        var permissions: String
        /// In KiB; "Rss", "Anonymous" and others.
        var sizes: [String: Int] = [:]

        static func all() throws -> [Mapping] {
            var mappings: [Mapping] = []
            let text = String(decoding: try UnsizedFile.contents(of: "/proc/self/smaps"), as: UTF8.self)
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
                if ends.count == 2 {
                    mappings.append(Mapping(range: ends[0]..<ends[1], permissions: String(words[1])))
                } else if words.count > 1, let size = Int(words[1]) {
                    mappings[mappings.count - 1].sizes[String(words[0].dropLast())] = size
                }
            }
            return mappings
        }
    }

    /// Those that the program unmaps.
    private func segments() throws -> [Mapping] {
        let segments = unsafe ProgramImage.readOnlySegments().map { UInt(bitPattern: $0.baseAddress) }
        return try Mapping.all().filter { mapping in segments.contains { mapping.range.contains($0) } }
    }

    @Test func `no page that was written is unmapped`() throws {
        let segments = try segments()
        #expect(segments.count > 2)
        #expect(segments.allSatisfy { !$0.permissions.contains("w") && $0.sizes["Anonymous"] == 0 })
    }

    @Test(.timeLimit(.minutes(50)))
    func `most pages of the program are no longer resident, and it continues`() async throws {
        // All pages become resident.
        let sum = unsafe ProgramImage.readOnlySegments().reduce(0) { sum, segment in
            stride(from: 0, to: segment.count, by: 4096).reduce(sum) { unsafe $0 + Int(segment[$1]) }
        }
        #expect(sum > 0)
        let before = try segments().reduce(0) { $0 + ($1.sizes["Rss"] ?? 0) }
        // What other tests use meanwhile is mapped again.
        var after = before
        while after >= before / 2 {
            try await cancellablePollingPause()
            ProgramImage.unmapPages()
            after = try segments().reduce(0) { $0 + ($1.sizes["Rss"] ?? 0) }
        }
    }
}
