// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import NodeCore

struct ClaimResolutionTests {
    static let lookup = ClaimLookup(namespace: "default", name: "data")
    static let claim = ClaimFacts(uid: "c1", isBound: true, volumeName: "pv")
    static let volume = VolumeFacts(
        name: "pv",
        claimUID: "c1",
        driver: driverName,
        volumeHandle: "h",
        isBlock: true
    )

    @Test func `a bound claim resolves to its CSI volume`() {
        let resolved = ResolvedVolume(
            driver: driverName,
            volumeHandle: "h",
            volumeName: "pv",
            isBlock: true,
            claimName: "data",
            claimUID: "c1"
        )
        #expect(Self.lookup.stage(after: Self.claim) == .volume(name: "pv"))
        #expect(Self.lookup.resolution(claim: Self.claim, volume: Self.volume) == .volume(resolved))
    }

    @Test(
        arguments: [
            ClaimFacts(uid: "c1", isBound: false, volumeName: "pv"),
            ClaimFacts(uid: "c1", isBound: true, volumeName: ""),
            ClaimFacts(uid: "c2", isBound: true, volumeName: "pv"),
            ClaimFacts(uid: "c1", isBound: true, volumeName: "other"),
        ]
    )
    func `a claim and a volume that are not bound to each other resolve later`(claim: ClaimFacts) {
        guard case .notYet = Self.lookup.resolution(claim: claim, volume: Self.volume) else {
            Issue.record("not notYet")
            return
        }
    }

    @Test func `a volume without a CSI source is never probed`() {
        var volume = Self.volume
        volume.driver = nil
        #expect(Self.lookup.resolution(claim: Self.claim, volume: volume) == .notCSI)
    }

    @Test(arguments: [nil, "another pod"])
    func `a generic ephemeral volume does not use the claim of another owner`(owner: String?) {
        var lookup = Self.lookup
        lookup.ownerUID = "pod"
        var claim = Self.claim
        claim.controllerUID = owner
        guard case .ended(.foreign) = lookup.stage(after: claim) else {
            Issue.record("not foreign")
            return
        }
        claim.controllerUID = "pod"
        #expect(lookup.stage(after: claim) == .volume(name: "pv"))
    }

    /// After a pod with a generic ephemeral volume is replaced, the claim that is read may be that of the earlier pod.
    @Test(arguments: [ClaimResolution.notYet(reason: ""), .foreign(reason: ""), .failed])
    func `fault 5, a claim that is not bound, or not to the pod, is read again until it is`(
        resolution: ClaimResolution
    ) {
        var node = Simulation()
        node.resolve = { _ in resolution }
        node.list(.named("a"))
        node.run(for: .seconds(3600))
        // After 0, 5, 15, 35, 75, 155, 315, 615 seconds, then every 300.
        #expect(node.lookups.count == 17)
        node.resolve = { .volume(.of($0.name)) }
        node.run(for: .seconds(400))
        #expect(!node.calls.isEmpty)
    }

    @Test func `what only an operator can change is read every five minutes`() {
        var node = Simulation()
        node.resolve = { _ in .forbidden }
        node.list(.named("a"))
        node.run(for: .seconds(1499))
        #expect(node.lookups.count == 5)
    }

    @Test func `the claim of another pod is worth one warning, after a second read`() throws {
        var node = Simulation()
        node.list(.named("a"))
        var warnings: [Bool] = []
        var now = Duration.zero
        let foreign = ClaimResolution.foreign(reason: "")
        for resolution in [foreign, .notYet(reason: ""), foreign, foreign] {
            let lookup = try #require(node.state.nextClaim(at: now).job)
            warnings.append(node.state.complete(lookup: lookup, resolution, at: now))
            now += .seconds(300)
        }
        #expect(warnings == [false, false, true, false])
    }

    @Test func `pods share the reads of a claim, and one claim stops no other`() {
        var node = Simulation()
        node.resolve = { $0.name == "bad" ? .failed : .volume(.of($0.name)) }
        node.list(.named("a"), .named("b"), .named("c", claims: ["bad", "other"]))
        node.run(for: .seconds(60))
        #expect(node.lookups.count { $0.name == "data" } == 1)
        #expect(Set(node.calls.map(\.probe.key.podUID)) == ["uid-a", "uid-b", "uid-c"])
    }

    @Test func `no claim is read for a pod that is gone`() {
        var node = Simulation()
        node.resolve = { _ in .notYet(reason: "") }
        node.list(.named("a"))
        node.run(for: .seconds(1))
        node.state.remove(podUID: "uid-a")
        node.run(for: .seconds(3600))
        #expect(node.lookups.count == 1)
    }

    @Test func `a lookup that ends after its pods are gone changes nothing`() throws {
        var node = Simulation()
        node.list(.named("a"))
        let lookup = try #require(node.state.nextClaim(at: node.now).job)
        node.state.remove(podUID: "uid-a")
        node.apply(.named("b"))
        node.state.complete(lookup: lookup, .volume(.of("data")), at: node.now)
        #expect(node.state.volumes.isEmpty)
        node.run(for: .seconds(20))
        #expect(node.state.volumes.keys.map(\.podUID) == ["uid-b"])
    }

    @Test func `the slow lookup of an earlier claim of that name does not count`() throws {
        var node = Simulation()
        node.list(.named("a"))
        let lookup = try #require(node.state.nextClaim(at: node.now).job)
        node.state.remove(podUID: "uid-a")
        #expect(node.state.snapshot(at: node.now).unresolvedClaims == 0)
        node.apply(.named("b"))
        // One lookup of a claim at a time.
        #expect(node.state.nextClaim(at: node.now) == .wait(until: nil))
        node.state.complete(lookup: lookup, .volume(.of("old")), at: node.now)
        #expect(node.state.nextClaim(at: node.now) == .run(lookup))
        node.state.complete(lookup: lookup, .volume(.of("data")), at: node.now)
        #expect(node.state.volumes.values.map(\.volume.volumeHandle) == ["h-data"])
    }

    @Test func `a lookup whose pods are all gone leaves nothing behind`() throws {
        var node = Simulation()
        node.list(.named("a"))
        let lookup = try #require(node.state.nextClaim(at: node.now).job)
        node.state.remove(podUID: "uid-a")
        node.state.complete(lookup: lookup, .volume(.of("data")), at: node.now)
        #expect(node.state.lookups.isEmpty)
    }

    // MARK: Volumes that were never found

    /// The volume of an earlier claim of that name.
    private static let earlier = ResolvedVolume(
        driver: driverName,
        volumeHandle: "h-earlier",
        volumeName: "pv-earlier",
        isBlock: false,
        claimName: "data",
        claimUID: "uid-earlier"
    )

    /// A node whose driver finds the volume of the present claim alone.
    private static func node(_ resolutions: ClaimResolution...) -> Simulation {
        var node = Simulation()
        var remaining = resolutions
        node.resolve = { _ in remaining.count > 1 ? remaining.removeFirst() : remaining[0] }
        node.respond = { probe, _ in (probe.volumeHandle == "h-data" ? .healthy : .failed(.notFound), .zero) }
        node.list(.named("a"), .named("b"))
        return node
    }

    @Test func `a claim whose volume is not found is read again, not from a cache`() {
        var node = Self.node(.volume(Self.earlier), .volume(.of("data")))
        node.run(for: .seconds(300))
        #expect(node.lookups.count == 2)
        #expect(node.latestLookups == [Self.lookup])
        #expect(Set(node.state.volumes.keys.map(\.volume)) == ["pv-data"])
        #expect(node.state.pods["uid-a"]?.volumes.count == 1)
        #expect(Set(node.calls.filter { $0.outcome == .healthy }.map(\.probe.key.podUID)) == ["uid-a", "uid-b"])
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 2)
        // A pod that comes later uses what was found last.
        node.apply(.named("c"))
        node.run(for: .seconds(40))
        #expect(node.calls(pod: "c").map(\.outcome) == [.healthy])
        #expect(node.lookups.count == 2)
    }

    @Test func `a claim is read again once, where that finds the same volume`() {
        var node = Self.node(.volume(Self.earlier))
        node.run(for: .seconds(3600))
        #expect(node.lookups.count == 2)
        #expect(node.latestLookups.count == 1)
        #expect(node.state.volumes.count == 2)
    }

    @Test(arguments: [ClaimResolution.failed, .notYet(reason: ""), .foreign(reason: ""), .forbidden])
    func `a second read that finds no volume is repeated, and the first stays`(resolution: ClaimResolution) {
        var node = Self.node(.volume(Self.earlier), resolution, resolution, .volume(.of("data")))
        node.run(for: .seconds(100))
        #expect(Set(node.state.volumes.keys.map(\.volume)) == [resolution == .forbidden ? "pv-earlier" : "pv-data"])
        node.run(for: .seconds(800))
        #expect(node.latestLookups.count == 3)
        #expect(Set(node.state.volumes.keys.map(\.volume)) == ["pv-data"])
    }

    @Test func `a claim whose volume was found is not read again`() {
        var node = Self.node(.volume(.of("data")))
        node.run(for: .seconds(120))
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        node.run(for: .seconds(600))
        #expect(node.lookups.count == 1)
    }

    @Test func `a claim of that name that comes after the last pod is read from a cache`() {
        var node = Self.node(.volume(Self.earlier), .failed, .volume(.of("data")))
        while node.latestLookups.isEmpty { node.run(for: .seconds(1)) }
        node.state.remove(podUID: "uid-a")
        node.state.remove(podUID: "uid-b")
        node.apply(.named("c"))
        node.run(for: .seconds(40))
        #expect(node.latestLookups.count == 1)
        #expect(node.calls(pod: "c").map(\.outcome) == [.healthy])
    }
}
