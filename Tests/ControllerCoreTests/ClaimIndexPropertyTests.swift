// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import CompactStorage
@testable import ControllerCore
@testable import HealthCore

/// Random histories of an index, compared with a model of two dictionaries.
struct ClaimIndexPropertyTests {
    /// What the index should contain, stored in the simplest way.
    struct Model {
        var volumes: [String: MonitoredVolume] = [:]
        var claims: [ClaimKey: (claim: Claim, volumeName: String)] = [:]

        func claim(of volume: MonitoredVolume) -> Claim? {
            guard volume.isBound, let key = volume.claim, let (claim, volumeName) = claims[key] else { return nil }
            return claim.uid == volume.claimUID && volumeName == volume.name ? claim : nil
        }

        func claims(ofVolumeHandle handle: String) -> [Claim] {
            volumes.values.filter { $0.handle == handle }.sorted { $0.name < $1.name }.compactMap(claim(of:))
        }
    }

    static let names = ["a", "b", "c", "d", "", "é", String(repeating: "long-", count: 60)]

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `the index agrees with a model of two dictionaries`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var index = ClaimIndex()
        var model = Model()
        var numbers: [ClaimKey: ClaimNumber] = [:]
        for step in 0..<200 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<4:
                let volume = Self.volume(using: &random)
                index.apply(volume)
                model.volumes[volume.name] = volume
            case 4..<8:
                let (claim, volumeName) = Self.claim(using: &random)
                index.apply(claim, volumeName: volumeName)
                model.claims[claim.key] = (claim, volumeName)
            case 8:
                let name = Self.name(using: &random)
                index.removeVolume(named: name)
                model.volumes[name] = nil
            case 9:
                let key = Self.key(using: &random)
                index.removeClaim(key)
                model.claims[key] = nil
            case 10:
                index.beginVolumeRelist()
                let kept = model.volumes.values.filter { _ in Bool.random(using: &random) }
                for volume in kept { index.apply(volume) }
                index.endVolumeRelist()
                model.volumes = Dictionary(uniqueKeysWithValues: kept.map { ($0.name, $0) })
            default:
                index.beginClaimRelist()
                let kept = model.claims.filter { _ in Bool.random(using: &random) }
                for (claim, volumeName) in kept.values { index.apply(claim, volumeName: volumeName) }
                index.endClaimRelist()
                model.claims = kept
            }
            if step % 20 == 0 {
                // Pretend that many records were abandoned, so that texts are reclaimed.
                index.abandonedRecords += 1001
                index.reclaimTexts()
            }
            Self.expect(index, is: model, "seed \(seed), step \(step)")
            // A claim keeps its number while it exists, and no two claims share one.
            numbers = numbers.filter { model.claims[$0.key] != nil }
            for key in model.claims.keys {
                let number = index.number(at: key)
                #expect(numbers[key] == nil || numbers[key] == number, "seed \(seed), step \(step)")
                numbers[key] = number
            }
            #expect(Set(numbers.values).count == model.claims.count, "seed \(seed), step \(step)")
        }
    }

    private static func expect(_ index: ClaimIndex, is model: Model, _ comment: Comment) {
        for name in names {
            let handle = index.number(ofHandleOfVolumeNamed: name).flatMap(index.volumeHandle)
            #expect(handle == model.volumes[name]?.handle, comment)
            let claims = model.claims(ofVolumeHandle: name)
            #expect(index.claims(ofVolumeHandle: name) == claims, comment)
            #expect(index.hasClaim(ofVolumeHandle: name) == !claims.isEmpty, comment)
            let hasVolume = model.volumes.values.contains { $0.handle == name }
            #expect((index.record(ofVolumeHandle: name) != nil) == hasVolume, comment)
            for key in [ClaimKey(namespace: "n", name: name), ClaimKey(namespace: "m", name: name)] {
                let number = index.number(at: key)
                #expect(number.flatMap(index.claim) == model.claims[key]?.claim, comment)
                let volume = model.claims[key].flatMap { model.volumes[$0.volumeName] }
                let used = volume.flatMap { model.claim(of: $0)?.key == key ? $0 : nil }
                #expect((index.claim(at: key) != nil) == (used != nil), comment)
                #expect(number.flatMap(index.volumeHandle(of:)) == used?.handle, comment)
                #expect(number.map(index.hasVolume) ?? false == (used != nil), comment)
            }
        }
        let secrets = Set(model.volumes.values.map(\.secret))
        #expect(index.commonSecret == (secrets.count == 1 ? secrets.first ?? nil : nil), comment)
        #expect(index.healthCounts.values.reduce(0, +) == Set(model.volumes.values.map(\.handle)).count, comment)
    }

    /// docs/architecture.md quotes these sizes.
    @Test func `records have the documented sizes`() {
        #expect(MemoryLayout<ClaimIndex.VolumeRecord>.stride == 36)
        #expect(MemoryLayout<ClaimIndex.HandleEntry>.stride == 16)
        #expect(MemoryLayout<ClaimIndex.ClaimRecord>.stride == 32)
    }

    @Test func `texts that are no longer referenced are reclaimed`() {
        var index = ClaimIndex()
        for number in 0..<5000 {
            let claim = Claim.named("claim-\(number)")
            index.bind(claim, handle: "handle-\(number)")
            index.removeVolume(named: "pv-claim-\(number)")
            index.removeClaim(claim.key)
        }
        #expect(index.texts.size < 200_000)
        #expect(index.volumes.count == 0)
    }

    private static func name(using random: inout SeededGenerator) -> String {
        names.randomElement(using: &random) ?? ""
    }

    private static func key(using random: inout SeededGenerator) -> ClaimKey {
        ClaimKey(namespace: Bool.random(using: &random) ? "n" : "m", name: name(using: &random))
    }

    private static func volume(using random: inout SeededGenerator) -> MonitoredVolume {
        let isFree = Int.random(in: 0..<10, using: &random) == 0
        return MonitoredVolume(
            name: name(using: &random),
            handle: name(using: &random),
            claim: isFree ? nil : key(using: &random),
            claimUID: "uid-\(Int.random(in: 0..<2, using: &random))",
            isBound: Int.random(in: 0..<10, using: &random) > 0,
            secret: Int.random(in: 0..<5, using: &random) == 0 ? nil : SecretName(namespace: "n", name: "s")
        )
    }

    private static func claim(using random: inout SeededGenerator) -> (Claim, volumeName: String) {
        let version = ["7", "18446744073709551615", "007", "later"].randomElement(using: &random) ?? ""
        let claim = Claim(
            key: key(using: &random),
            uid: "uid-\(Int.random(in: 0..<2, using: &random))",
            resourceVersion: version
        )
        return (claim, name(using: &random))
    }
}
