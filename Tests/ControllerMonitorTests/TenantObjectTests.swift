// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Objects that a tenant can create do not keep other claims from being reported.
@Suite(.timeLimit(.minutes(50))) struct TenantObjectTests {
    static let volume = VolumeFixture(number: 0)
    static let later = VolumeFixture(number: 1)

    /// Fields of a claim that a client can send in protobuf.
    enum Fields: CaseIterable {
        /// `spec.volumeName`: FF FE. kube-apiserver does not validate it.
        case text
        /// `spec` with a truncated text. No real server sends it.
        case truncated

        var bytes: [UInt8] {
            switch self {
            case .text: [0x12, 4, 0x1A, 2, 0xFF, 0xFE]
            case .truncated: [0x12, 3, 0x1A, 5, 1]
            }
        }
    }

    private static func createClaim(_ name: String, _ fields: Fields, in server: SimulatedAPIServer) throws {
        let claim: JSONValue = [
            "kind": "PersistentVolumeClaim", "metadata": ["namespace": "default", "name": .string(name)],
        ]
        try server.create(claim, appending: fields.bytes)
    }

    @Test(arguments: Fields.allCases, [true, false])
    func `a claim with such bytes does not delay other claims`(fields: Fields, streamsLists: Bool) async throws {
        try await Scene.run { scene in
            if !streamsLists { scene.server.featureGates.remove(.watchList) }
            // Before and after the other claim in the order of the list.
            try Self.createClaim("a", fields, in: scene.server)
            try Self.createClaim("z", fields, in: scene.server)
            try Self.volume.create(in: scene.server)
            scene.driver.volumes = [SimulatedVolume(id: Self.volume.handle, condition: .abnormal("first"))]
        } _: { scene in
            let first = await scene.write(1)
            #expect(first?.request.body?["involvedObject", "name"]?.string == Self.volume.claimName)

            try Self.createClaim("b", fields, in: scene.server)
            try Self.later.create(in: scene.server)
            scene.driver.set(.abnormal("second"), ofVolume: Self.later.handle)
            // The watch delivers in its own time.
            let clock = scene.clock
            await withTaskGroup { group in
                group.addTask { _ = await scene.write(2) }
                group.addTask {
                    while !Task.isCancelled {
                        _ = await clock.sleeper(ofAtLeast: .milliseconds(1))
                        clock.advance(by: Scene.interval)
                    }
                }
                await group.next()
                group.cancelAll()
            }
            let names = try scene.events().map { $0["involvedObject", "name"]?.string }
            #expect(names.contains(Self.later.claimName))
            // Nothing was listed again because of it. A server without streaming lists refuses the first request.
            let lists = scene.server.journal.records.filter {
                $0.request.resource == "persistentvolumeclaims"
                    && ($0.request.verb == .list || $0.request.query["sendInitialEvents"] != nil)
            }
            #expect(lists.count == (streamsLists ? 1 : 2))
        }
    }

    @Test func `an event with a message that is not UTF-8 does not delay reports`() async throws {
        try await Scene.run { scene in
            try Self.volume.create(in: scene.server)
            scene.driver.volumes = [SimulatedVolume(id: Self.volume.handle, condition: .abnormal("broken"))]
            try scene.server.create(
                [
                    "kind": "Event", "metadata": ["namespace": "default", "name": "x"],
                    "involvedObject": ["kind": "PersistentVolumeClaim", "namespace": "default", "name": "x"],
                    "reason": "VolumeConditionAbnormal",
                    "source": ["component": "csi-pv-monitor-controller-hostpath.csi.k8s.io"],
                ],
                // message: FF
                appending: [0x22, 1, 0xFF]
            )
        } _: { scene in
            let first = await scene.write(1)
            #expect(first?.request.body?["involvedObject", "name"]?.string == Self.volume.claimName)
        }
    }
}
