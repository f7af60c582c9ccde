// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import GRPCTransport
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// A replica that loses the lease and leads again, and one that takes over.
@Suite(.timeLimit(.minutes(50))) struct TermTests {
    private static let volume = VolumeFixture(number: 0)

    /// Runs a monitor with one volume, in terms that the test begins and ends.
    private static func run(
        warmStandby: Bool = false,
        _ body: @escaping @Sendable (Scene, Terms, HealthMonitor) async throws -> Void
    ) async throws {
        try await Scene.set { scene in
            try volume.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: volume.handle)
            let terms = Terms()
            try await scene.monitor(terms: terms, warmStandby: warmStandby) { try await body(scene, terms, $0) }
        }
    }

    @Test func `a replica that leads again does not list again`() async throws {
        try await Self.run { scene, terms, monitor in
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            #expect(monitor.snapshot() != nil)
            #expect(scene.lists.count == 2)
            for term in 2...4 {
                await terms.end()
                #expect(monitor.snapshot() == nil)
                terms.begin()
                await scene.driver.journal.wait(for: "ListVolumes", count: term)
            }
            // The watches go on: on a busy machine, the server may end them meanwhile.
            #expect(scene.lists.count == 2)
        }
    }

    @Test(.tags(.rule9)) func `changes while another replica leads are reported once`() async throws {
        try await Self.run { scene, terms, _ in
            func sweepTwice() async {
                for _ in 0..<2 { await scene.sweepAgain() }
            }
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            await terms.end()
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            terms.begin()
            _ = await scene.write(1)
            await terms.change()
            await scene.driver.journal.wait(for: "ListVolumes", count: 3)
            await sweepTwice()
            #expect(try scene.events().map { $0["count"] } == [1])
            await terms.end()
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            terms.begin()
            _ = await scene.write(2)
            await terms.change()
            await scene.driver.journal.wait(for: "ListVolumes", count: 7)
            await sweepTwice()
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(events.map { $0["count"] } == [1, 1])
            #expect(scene.lists.count == 2)
        }
    }

    /// Alerts do not resolve at a failover, and the age of a condition counts from its first report.
    @Test(arguments: [false, true])
    func `reported conditions are shown before the driver is probed`(hasStatus: Bool) async throws {
        try await Self.run { scene, terms, monitor in
            if !hasStatus { scene.server.featureGates.remove(.csiVolumeHealth) }
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            terms.begin()
            _ = await scene.write(1)
            try await scene.advance { monitor.snapshot()?.events.depth == 0 && monitor.snapshot()?.statuses.depth == 0 }
            await terms.end()
            let longAgo: JSONValue = "2020-01-01T00:00:00Z"
            let event = try #require(try scene.events().first?["metadata", "name"]?.string)
            try scene.server.patch(
                kind: "Event",
                namespace: Self.volume.namespace,
                name: event,
                ["firstTimestamp": hasStatus ? "2021-01-01T00:00:00Z" : longAgo]
            )
            let status: JSONValue =
                hasStatus
                ? ["healthStatus": ["lastTransitionTime": longAgo]]
                : [
                    "conditions": [
                        [
                            "type": "csi-health-monitor/VolumeHealthy", "status": "False",
                            "reason": "VolumeConditionAbnormal", "message": "broken", "lastTransitionTime": longAgo,
                        ]
                    ]
                ]
            try scene.server.patch(
                kind: "PersistentVolumeClaim",
                namespace: Self.volume.namespace,
                name: Self.volume.claimName,
                ["status": status]
            )
            let calls = scene.driver.journal.calls("ListVolumes").count
            scene.driver.intercept { call in call.method.hasSuffix("ListVolumes") ? .fail(.internal, "no") : nil }
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: calls + 1)
            func isAsReported() -> Bool {
                let claims = monitor.snapshot()?.unhealthyClaims ?? []
                return claims.map(\.name) == [Self.volume.claimName]
                    && claims.allSatisfy {
                        $0.conditions.map(\.status) == ["Degraded"] && $0.age > .seconds(86_400 * 365 * 6)
                    }
            }
            #expect(isAsReported(), "\(String(describing: monitor.snapshot()?.unhealthyClaims))")
            scene.driver.intercept(nil)
            try await scene.advance { monitor.status()?.sweepAge != nil }
            #expect(isAsReported())
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            try await scene.advance { monitor.snapshot()?.unhealthyClaims.isEmpty == true }
        }
    }

    @Test(.tags(.rule9)) func `a status that another leader wrote is not written again`() async throws {
        try await Self.run { scene, terms, _ in
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            terms.begin()
            _ = await scene.write(1, .patch, of: "persistentvolumeclaims")
            await terms.change()
            await scene.driver.journal.wait(for: "ListVolumes", count: 2)
            for _ in 0..<2 { await scene.sweepAgain() }
            #expect(scene.server.journal.records.count { $0.isWritten && $0.request.subresource == "status" } == 1)
        }
    }

    @Test func `objects that are created, changed or deleted while another replica leads are known`() async throws {
        let (other, last) = (VolumeFixture(number: 1), VolumeFixture(number: 2))
        try await Self.run { scene, terms, _ in
            try other.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: other.handle)
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            await terms.end()
            // One volume is deleted, the claim of another is recreated, a third is new.
            try Self.volume.delete(in: scene.server)
            try other.delete(in: scene.server)
            let uid = try other.create(in: scene.server)
            try last.create(in: scene.server)
            scene.driver.set(.abnormal("new"), ofVolume: last.handle)
            terms.begin()
            // Once the last change has arrived, the others have too.
            try await scene.advance { try !scene.events().isEmpty }
            for volume in [Self.volume, other] { scene.driver.set(.abnormal("old"), ofVolume: volume.handle) }
            await scene.sweepAgain()
            _ = await scene.write(2)
            await scene.sweepAgain()
            let events = try scene.events()
            #expect(events.map { $0["message"] } == ["new", "old"])
            #expect(events.last?["involvedObject", "uid"]?.string == uid)
            #expect(scene.lists.count == 2)
        }
    }

    @Test func `a list in flight continues when the lease is lost`() async throws {
        let list = AsyncStream.makeStream(of: Void.self)
        try await Self.run { scene, terms, _ in
            scene.server.intercept { request in
                guard request.resource == "persistentvolumes" else { return nil }
                for await _ in list.stream {}
                return nil
            }
            terms.begin()
            _ = await scene.server.journal.first { $0.request.resource == "persistentvolumeclaims" }
            await terms.change()
            #expect(scene.driver.journal.calls("ListVolumes").isEmpty)
            list.continuation.finish()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            #expect(scene.lists.count == 2)
        }
    }

    /// The cache may lack a claim on which another leader has recorded an event.
    @Test func `a failed watch lists again at the beginning of a term`() async throws {
        try await Self.run { scene, terms, _ in
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            await terms.end()
            scene.server.intercept { request in
                guard request.resource == "persistentvolumes", request.query["sendInitialEvents"] == nil else {
                    return nil
                }
                return .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "away"), headers: [:])
            }
            await scene.server.cutConnections()
            _ = await scene.server.journal.first { $0.code == 503 }
            let lists = scene.lists.count { $0.request.resource == "persistentvolumes" }
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 2)
            #expect(scene.lists.count { $0.request.resource == "persistentvolumes" } == lists + 1)
        }
    }

    @Test(arguments: [false, true])
    func `a standby only requests the lease, and a warm one also watches`(isWarm: Bool) async throws {
        let (namespace, lease) = ("csi-hostpath", "external-health-monitor-leader-hostpath-csi-k8s-io")
        try await Scene.set { scene in
            try Self.volume.create(in: scene.server)
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            try scene.server.create(["kind": "Namespace", "metadata": ["name": .string(namespace)]])
            try scene.server.create([
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": ["namespace": .string(namespace), "name": .string(lease)],
                "spec": ["holderIdentity": "other", "leaseDurationSeconds": 3600],
            ])
            try await scene.monitor(leaseNamespace: namespace, warmStandby: isWarm) { monitor in
                if isWarm {
                    for resource in ["persistentvolumes", "persistentvolumeclaims"] {
                        _ = await scene.server.journal.first { $0.request.resource == resource }
                    }
                }
                for looks in 1...5 {
                    // A claim changes while the replica stands by.
                    try scene.server.patch(
                        kind: "PersistentVolumeClaim",
                        namespace: "default",
                        name: Self.volume.claimName,
                        ["metadata": ["labels": ["look": .string("\(looks)")]]]
                    )
                    _ = await scene.server.journal.next { $0.request.resource == "leases" }
                }
                let standby = scene.server.journal.records.filter {
                    $0.request.resource != "leases" && !$0.continuesWatch
                }
                #expect(standby.count == (isWarm ? 2 : 0))
                #expect(standby.allSatisfy { $0.isListOfCaches })
                #expect(scene.driver.journal.records.allSatisfy { !$0.reportsHealth })
                #expect(monitor.snapshot() == nil)
                try scene.server.patch(
                    kind: "Lease",
                    namespace: namespace,
                    name: lease,
                    ["spec": ["holderIdentity": "", "leaseDurationSeconds": 1]]
                )
                await scene.driver.journal.wait(for: "ListVolumes", count: 1)
                #expect(monitor.snapshot() != nil)
                let taken = try #require(scene.server.journal.records.firstIndex { $0.request.verb == .update })
                let lists = scene.server.journal.records[taken...].count { $0.isListOfCaches }
                #expect(lists == (isWarm ? 0 : 2))
                _ = await scene.write(1)
            }
        }
    }
}

extension Scene {
    /// The lists of the resources that a monitor caches, by watches or not.
    fileprivate var lists: [RequestRecord] { server.journal.records.filter(\.isListOfCaches) }
}

extension RequestRecord {
    /// Whether this is a list, or a watch that begins with one, of a cached resource.
    fileprivate var isListOfCaches: Bool {
        // A list of one object only checks the version.
        ["persistentvolumes", "persistentvolumeclaims"].contains(request.resource)
            && (request.verb == .list && request.query["limit"] != "1" || request.query["sendInitialEvents"] != nil)
    }

    /// Whether this watch begins where an earlier one has ended.
    fileprivate var continuesWatch: Bool {
        request.verb == .watch && request.query["sendInitialEvents"] == nil
    }
}
