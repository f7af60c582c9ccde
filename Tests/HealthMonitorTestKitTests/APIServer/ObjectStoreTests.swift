// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct ObjectStoreTests {
    static func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "default", name: name) }
    static func lease(_ name: String) -> JSONValue { ["metadata": ["name": .string(name)]] }
    static func name(_ object: StoredObject?) -> String? {
        object?.value(of: .leases)["metadata", "name"]?.string
    }

    @Test func `changes have the old and the new object`() throws {
        var store = ObjectStore()
        _ = try store.put(.leases, Self.key("a"), Self.lease("a"))
        let start = store.revision
        _ = try store.put(.leases, Self.key("a"), Self.lease("changed"))
        store.remove(.leases, Self.key("a"))
        let changes = try store.changes(.leases, after: start)
        #expect(changes.map(\.revision) == [start + 1, start + 2])
        #expect(changes.map { Self.name($0.old) } == ["a", "changed"])
        #expect(changes.map { Self.name($0.new) } == ["changed", nil])
        #expect(try store.changes(.leases, after: start + 2).isEmpty)
    }

    @Test func `reading compacted changes fails with 410`() throws {
        var store = ObjectStore()
        for _ in 0..<3 { _ = try store.put(.leases, Self.key("a"), Self.lease("a")) }
        store.compact()
        let error = #expect(throws: StatusError.self) { try store.changes(.leases, after: 2) }
        #expect((error?.code, error?.reason) == (410, "Expired"))
        #expect(error?.message == "too old resource version: 2 (3)")
        #expect(try store.changes(.leases, after: 3).isEmpty)
    }

    @Test func `objects are sorted by key`() throws {
        var store = ObjectStore()
        for name in ["c", "a", "b"] { _ = try store.put(.leases, Self.key(name), Self.lease(name)) }
        _ = try store.put(.leases, ObjectKey(namespace: "another", name: "z"), Self.lease("z"))
        #expect(store.objects(.leases, namespace: nil).map(Self.name) == ["z", "a", "b", "c"])
        #expect(store.objects(.leases, namespace: "default").map(Self.name) == ["a", "b", "c"])
        store.remove(.leases, Self.key("a"))
        #expect(store.objects(.leases, namespace: "default").map(Self.name) == ["b", "c"])
    }

    @Test func `the pages of a list have the same revision`() throws {
        var snapshots = PageSnapshots()
        let objects = try ["a", "b", "c", "d", "e"].map { try StoredObject(Self.lease($0), of: .leases) }
        let first = snapshots.firstPage(of: objects, revision: 7, limit: 2, isSelection: false)
        #expect(first.objects == Array(objects[..<2]))
        #expect(first.remainingCount == 3)
        let second = try snapshots.nextPage(token: try #require(first.token), limit: 2)
        let third = try snapshots.nextPage(token: try #require(second.token), limit: 2)
        #expect(second.objects + third.objects == Array(objects[2...]))
        #expect([second.revision, third.revision] == [7, 7])
        #expect(third.token == nil)
        snapshots.removeAll()
        let error = #expect(throws: StatusError.self) {
            try snapshots.nextPage(token: try #require(first.token), limit: 2)
        }
        #expect((error?.code, error?.reason) == (410, "Expired"))
        #expect(throws: StatusError.self) { try snapshots.nextPage(token: "nonsense", limit: 2) }
    }
}
