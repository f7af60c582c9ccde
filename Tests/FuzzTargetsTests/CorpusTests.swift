// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import FuzzTargets
import HealthMonitorTestKit
import Testing

/// Replays the findings of fuzzing: no input of a corpus crashes, and the target's invariants hold for each.
@Suite struct CorpusTests {
    private static let corpora = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpora")

    private static func corpus(_ target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = corpora.appending(path: target.rawValue)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            (name, Array(try Data(contentsOf: folder.appending(path: name))))
        }
    }

    private func run(_ target: FuzzTarget, _ bytes: [UInt8], _ name: String) {
        do {
            try target.run(bytes)
        } catch {
            Issue.record("\(target.rawValue), \(name): \(error)")
        }
    }

    @Test(arguments: FuzzTarget.allCases) func `every input of the corpus`(target: FuzzTarget) throws {
        let corpus = try Self.corpus(target)
        #expect(!corpus.isEmpty)
        for (name, bytes) in corpus { run(target, bytes, name) }
    }

    @Test(arguments: FuzzTarget.allCases) func `the empty input`(target: FuzzTarget) {
        run(target, [], "nothing")
    }

    @Test(arguments: FuzzTarget.allCases) func `mutations of the corpus`(target: FuzzTarget) throws {
        let corpus = try Self.corpus(target)
        var random = SeededGenerator(seed: 4)
        // A list of flags takes a tenth of a second in a debug build.
        for number in 0..<(target == .flags ? 30 : 300) {
            let seed = try #require(corpus.randomElement(using: &random))
            let mutation = mutation(of: seed.bytes, using: &random)
            run(target, mutation, "mutation \(number) of \(seed.name): \(Data(mutation).base64EncodedString())")
        }
    }

    /// A few bytes changed, removed or inserted.
    private func mutation(of bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var mutation = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let position = Int.random(in: 0...mutation.count, using: &random)
            let end = Int.random(in: position...min(position + 8, mutation.count), using: &random)
            let inserted = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            mutation.replaceSubrange(position..<end, with: inserted)
        }
        return mutation
    }

    @Test func `every corpus belongs to a target`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpora.path)
        #expect(Set(folders) == Set(FuzzTarget.allCases.map(\.rawValue)))
    }
}
