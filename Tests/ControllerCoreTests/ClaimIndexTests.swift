// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

struct ClaimIndexTests {
    let claim = Claim.named("csi-pvc")

    func volume(
        _ name: String = "pv-1",
        handle: String = "h1",
        claimUID: String = "uid-csi-pvc",
        isBound: Bool = true
    ) -> MonitoredVolume {
        MonitoredVolume(name: name, handle: handle, claim: claim.key, claimUID: claimUID, isBound: isBound)
    }

    @Test func `a bound pair is found, whichever object arrives first`() {
        var volumeFirst = ClaimIndex()
        volumeFirst.apply(volume())
        #expect(volumeFirst.claims(ofVolumeHandle: "h1").isEmpty)
        volumeFirst.apply(claim, volumeName: "pv-1")

        var claimFirst = ClaimIndex()
        claimFirst.apply(claim, volumeName: "pv-1")
        claimFirst.apply(volume())

        #expect(volumeFirst.claims(ofVolumeHandle: "h1") == [claim])
        #expect(claimFirst.claims(ofVolumeHandle: "h1") == [claim])
    }

    @Test func `a volume is found once it is bound`() {
        var index = ClaimIndex()
        index.apply(claim, volumeName: "pv-1")
        index.apply(volume(isBound: false))
        #expect(index.claims(ofVolumeHandle: "h1").isEmpty)

        index.apply(volume())
        #expect(index.claims(ofVolumeHandle: "h1") == [claim])
    }

    @Test(.tags(.rule11)) func `a volume without a claimRef has no claim`() {
        var index = ClaimIndex()
        index.apply(MonitoredVolume(name: "pv-1", handle: "h1", claim: nil, claimUID: "", isBound: true))
        index.apply(claim, volumeName: "pv-1")
        #expect(index.claims(ofVolumeHandle: "h1").isEmpty)
    }

    @Test(.tags(.rule11)) func `a claim recreated under the same name is another claim`() {
        var index = ClaimIndex()
        index.bind(claim, handle: "h1")
        index.apply(Claim.named("csi-pvc", uid: "another"), volumeName: "pv-csi-pvc")
        #expect(index.claims(ofVolumeHandle: "h1").isEmpty)
    }

    @Test(.tags(.rule11)) func `a claim that names another volume does not belong to this volume`() {
        var index = ClaimIndex()
        index.apply(volume())
        index.apply(claim, volumeName: "pv-other")
        #expect(index.claims(ofVolumeHandle: "h1").isEmpty)
    }

    @Test(.tags(.rule11)) func `two volumes with the same handle have both claims`() {
        var index = ClaimIndex()
        let other = Claim.named("other")
        index.bind(other, handle: "shared")
        index.bind(claim, handle: "shared")
        #expect(index.claims(ofVolumeHandle: "shared") == [claim, other])

        index.removeVolume(named: "pv-other")
        #expect(index.claims(ofVolumeHandle: "shared") == [claim])
    }

    @Test func `a volume whose handle changed is found under the new handle only`() {
        var index = ClaimIndex()
        index.bind(claim, handle: "old")
        index.bind(claim, handle: "new")
        #expect(index.claims(ofVolumeHandle: "old").isEmpty)
        #expect(index.claims(ofVolumeHandle: "new") == [claim])
    }

    @Test func `a deleted claim is not found`() {
        var index = ClaimIndex()
        index.bind(claim, handle: "h1")
        index.removeClaim(claim.key)
        #expect(index.claims(ofVolumeHandle: "h1").isEmpty)
    }

    @Test func `a relist keeps the known objects until it is complete`() {
        var index = ClaimIndex()
        let gone = Claim.named("gone")
        index.bind(claim, handle: "h1")
        index.bind(gone, handle: "h2")

        index.beginVolumeRelist()
        index.beginClaimRelist()
        #expect(index.claims(ofVolumeHandle: "h1") == [claim])
        #expect(index.claims(ofVolumeHandle: "h2") == [gone])

        index.bind(claim, handle: "h1")
        index.endVolumeRelist()
        index.endClaimRelist()
        #expect(index.claims(ofVolumeHandle: "h1") == [claim])
        #expect(index.claims(ofVolumeHandle: "h2").isEmpty)
    }

    @Test(.tags(.rule11)) func `long handles with unusual characters are accepted`() {
        var index = ClaimIndex()
        let handle = String(repeating: "projects/p/zones/z/disks/🪵\n", count: 100)
        index.bind(claim, handle: handle)
        #expect(index.claims(ofVolumeHandle: handle) == [claim])
    }

    @Test func `a handle is forgotten with its last volume`() {
        var index = ClaimIndex()
        index.apply(volume("pv-1"))
        index.apply(volume("pv-2"))
        index.update("h1") { $0.health = .healthy }
        index.removeVolume(named: "pv-1")
        #expect(index.record(ofVolumeHandle: "h1")?.health == .healthy)
        index.removeVolume(named: "pv-2")
        #expect(index.record(ofVolumeHandle: "h1") == nil)
        #expect(index.healthCounts.isEmpty)
    }

    @Test func `a claim's health status is forgotten with the claim`() {
        var index = ClaimIndex()
        let state = VolumeState([VolumeHealthCondition(abnormalMessage: "m")])
        index.apply(claim, volumeName: "pv-1", healthStatus: state)
        #expect(index.number(at: claim.key).map(index.healthStatus) == state)
        index.apply(Claim.named("csi-pvc", uid: "another"), volumeName: "")
        #expect(!index.hasUnhealthyStatuses)
        index.apply(claim, volumeName: "pv-1", healthStatus: state)
        index.beginClaimRelist()
        index.endClaimRelist()
        #expect(!index.hasUnhealthyStatuses)
    }
}
