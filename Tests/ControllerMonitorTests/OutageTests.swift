// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Fault 2 of EHM: when 2,000 volumes become abnormal at once, it reports five per second and drops the rest.
@Suite(.timeLimit(.minutes(50))) struct OutageTests {
    static let volumes = (1...2000).map { VolumeFixture(number: $0) }

    @Test(.tags(.rule10)) func `each of 2,000 volumes is reported exactly once`() async throws {
        try await Scene.run {
            $0.outageLimits = OutageLimits()
        } prepare: { scene in
            for volume in Self.volumes { try volume.create(in: scene.server) }
            scene.driver.volumes = Self.volumes.map { SimulatedVolume(id: $0.handle, condition: .abnormal("outage")) }
        } _: { scene in
            // Those of the claims, and one on the driver.
            _ = await scene.write(2001)
            await scene.sweepAgain()
            let events = try scene.events().filter { $0["involvedObject", "kind"] == "PersistentVolumeClaim" }
            #expect(try scene.events().map { $0["reason"] }.count { $0 == "DriverOutage" } == 1)
            #expect(Set(events.compactMap { $0["involvedObject", "name"]?.string }).count == 2000)
            #expect(events.count == 2000)
            #expect(events.allSatisfy { $0["count"] == 1 })
        }
    }

    /// A quota or an admission webhook refuses with 403, as a missing rule does.
    @Test func `a namespace that refuses events does not delay the others`() async throws {
        var full = VolumeFixture(number: 1)
        full.namespace = "full"
        let refused = full
        let other = VolumeFixture(number: 2)
        try await Scene.run { scene in
            try scene.server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "full"]])
            try refused.create(in: scene.server)
            try other.create(in: scene.server)
            scene.driver.volumes = [
                SimulatedVolume(id: refused.handle, condition: .abnormal("first")), SimulatedVolume(id: other.handle),
            ]
            scene.server.intercept { request in
                guard request.verb == .create, request.namespace == "full" else { return nil }
                let message = "events is forbidden: exceeded quota: q, requested: count/events=1, used: 9, limited: 9"
                return .fail(StatusError(code: 403, reason: "Forbidden", message: message), headers: [:])
            }
        } _: { scene in
            _ = await scene.server.journal.first { $0.code == 403 }
            scene.driver.set(.abnormal("second"), ofVolume: other.handle)
            await scene.sweepAgain()
            // The clock stands still from here.
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["second"])
        }
    }

    /// An admission webhook with failurePolicy Fail that does not respond: the API server returns 500 after the
    /// webhook's timeout (kubernetes, staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go).
    /// Here it does not respond at all.
    @Test func `a namespace in which requests hang does not delay the others`() async throws {
        try await Scene.run { scene in
            try Self.createDeadNamespace(in: scene)
            scene.server.intercept { request in
                request.verb == .create && request.namespace == "dead" ? .hold : nil
            }
        } _: { scene in
            // The clock stands still.
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["elsewhere"])
        }
    }

    @Test func `a namespace in which requests fail gets one at a time and does not delay the others`() async throws {
        try await Scene.run { scene in
            try Self.createDeadNamespace(in: scene)
            scene.server.intercept { request in
                guard request.verb == .create, request.namespace == "dead" else { return nil }
                let message =
                    "Internal error occurred: failed calling webhook \"x.example.com\": context deadline exceeded"
                return .fail(StatusError(code: 500, reason: "InternalError", message: message))
            }
        } _: { scene in
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["elsewhere"])
            #expect(scene.server.journal.records.count { $0.code == 500 } <= 4)
        }
    }

    /// A load balancer resets requests that take longer than its limit, as those do for which an admission webhook does
    /// not respond.
    @Test(.tags(.rule10)) func `a namespace whose requests are reset does not delay the others`() async throws {
        try await Scene.run { scene in
            try Self.createDeadNamespace(in: scene)
            scene.server.intercept { request in
                request.verb == .create && request.namespace == "dead" ? .cut : nil
            }
        } _: { scene in
            // The clock stands still.
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["elsewhere"])
        }
    }

    private static func createDeadNamespace(in scene: Scene) throws {
        try scene.server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "dead"]])
        var volumes: [SimulatedVolume] = []
        for number in 1...200 {
            var volume = VolumeFixture(number: number)
            volume.namespace = "dead"
            try volume.create(in: scene.server)
            volumes.append(SimulatedVolume(id: volume.handle, condition: .abnormal("dead")))
        }
        let other = VolumeFixture(number: 201)
        try other.create(in: scene.server)
        scene.driver.volumes = volumes + [SimulatedVolume(id: other.handle, condition: .abnormal("elsewhere"))]
    }

    @Test(.tags(.rule10)) func `an overloaded server gets no new request before its Retry-After`() async throws {
        let volumes = Self.volumes.prefix(20)
        try await Scene.run { scene in
            for volume in volumes { try volume.create(in: scene.server) }
            scene.driver.volumes = volumes.map { SimulatedVolume(id: $0.handle, condition: .abnormal("outage")) }
            scene.server.intercept { request in
                guard request.verb == .create else { return nil }
                return .fail(
                    StatusError(code: 429, reason: "TooManyRequests", message: "slow down"),
                    headers: ["Retry-After": "17"]
                )
            }
        } _: { scene in
            _ = await scene.server.journal.first { $0.code == 429 }
            let pause = await scene.clock.sleeper(ofAtLeast: .seconds(10), atMost: .seconds(17))
            #expect(pause == .seconds(17))
            // Only the requests that were in flight.
            #expect(scene.server.journal.records.count { $0.code == 429 } <= 4)
            scene.server.intercept(nil)
            await withTaskGroup { group in
                group.addTask { _ = await scene.write(20) }
                group.addTask {
                    // A response that is received after the pause causes another pause.
                    while !Task.isCancelled {
                        scene.clock.advance(by: .seconds(17))
                        _ = await scene.clock.sleeper(ofAtLeast: .seconds(10), atMost: .seconds(17))
                    }
                }
                await group.next()
                group.cancelAll()
            }
            let events = try scene.events()
            #expect(events.count == 20)
        }
    }
}
