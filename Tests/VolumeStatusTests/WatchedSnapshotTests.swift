// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesClient
import Testing

@testable import VolumeStatus

@Suite struct WatchedSnapshotTests {
    private func claim(_ name: String) -> ListedClaim {
        var claim = ListedClaim()
        claim.name = ObjectName("default", name)
        return claim
    }

    private func event(_ name: String, reason: String) -> ListedEvent {
        var event = ListedEvent()
        event.name = ObjectName("default", name)
        event.reason = reason
        return event
    }

    @Test func `objects that a new list lacks are removed, those that changed within it stay`() {
        var watched = WatchedSnapshot(ClusterSnapshot())
        func apply(_ event: WatcherEvent<ListedClaim>) -> Bool {
            watched.apply(.claims(event))
        }
        func names() -> [String] { watched.snapshot.claims.keys.map(\.name).sorted() }
        #expect(apply(.applied(claim("a"))))
        #expect(apply(.applied(claim("b"))))
        #expect(!apply(.restarted))
        #expect(!apply(.listed([claim("b"), claim("c")])))
        #expect(names() == ["a", "b", "c"])
        #expect(!apply(.applied(claim("d"))))
        #expect(!apply(.deleted(claim("c"))))
        #expect(apply(.synced))
        #expect(names() == ["b", "d"])
        #expect(apply(.deleted(claim("b"))))
        #expect(names() == ["d"])
    }

    @Test func `the list of one reason removes no events of another`() {
        var watched = WatchedSnapshot(ClusterSnapshot())
        func apply(_ event: WatcherEvent<ListedEvent>, _ reason: String) {
            _ = watched.apply(.events(event, reason: reason))
        }
        apply(.applied(event("a", reason: "A")), "A")
        apply(.applied(event("b", reason: "B")), "B")
        apply(.restarted, "A")
        apply(.synced, "A")
        #expect(watched.snapshot.events?.keys.map(\.name) == ["b"])
    }

    @Test func `rows that changed are returned once, also those that became healthy`() {
        var scene = Scene()
        scene.claim("a")
        scene.claim("b")
        var changes = RowChanges(scene.report())
        #expect(changes.next(scene.report()) == [])
        scene.snapshot.claims[ObjectName("default", "a")]?.healthConditions = [condition(.degraded, "SlowIO")]
        #expect(changes.next(scene.report()).map(\.reason) == ["SlowIO"])
        #expect(changes.next(scene.report()) == [])
        scene.snapshot.claims[ObjectName("default", "a")]?.healthConditions = []
        #expect(changes.next(scene.report()).map(\.status) == [.healthy])
        #expect(changes.next(scene.report()) == [])
    }
}
