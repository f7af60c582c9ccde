// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Drivers whose lists lack the health that single calls return.
@Suite(.timeLimit(.minutes(50))) struct ListFallbackTests {
    static func prepare(_ count: Int, _ capabilities: [Int]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            for number in 0..<count {
                let volume = VolumeFixture(number: number)
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        }
    }

    /// entries=1 { volume=1 { volume_id=2 } }, without a status; next_token=2.
    static func list(_ ids: [String]) -> SimulatedResponse {
        .reply(
            ids.flatMap { id -> [UInt8] in
                let volume = [0x12, UInt8(id.utf8.count)] + Array(id.utf8)
                let entry = [0x0A, UInt8(volume.count)] + volume
                return [0x0A, UInt8(entry.count)] + entry
            }
        )
    }

    /// dell/csi-powerstore 2.14 (pkg/controller, listPowerStoreVolumes): LIST_VOLUMES, GET_VOLUME and VOLUME_CONDITION,
    /// and no list entry has a condition.
    @Test func `a list without any condition is replaced by single calls`() async throws {
        let volume = VolumeFixture(number: 1)
        try await Scene.run { scene in
            try Self.prepare(3, [3, 11, 12])(scene)
            scene.driver.set(.abnormal("Volume is in Failed state"), ofVolume: volume.handle)
            let handles = (0..<3).map { VolumeFixture(number: $0).handle }
            scene.driver.intercept { call in call.method.hasSuffix("/ListVolumes") ? Self.list(handles) : nil }
        } _: { scene in
            try await scene.advance { try scene.events().count == 1 }
            #expect(try scene.events().first?["message"] == "Volume is in Failed state")
            // All volumes in each interval; the list only in every tenth.
            try await scene.advance {
                let calls = GetModeTests.calls(scene)
                return calls.count == 3 && calls.values.allSatisfy { $0 >= 3 }
            }
            #expect(scene.clock.now.offset < Scene.interval * 9)
            try await scene.advance { scene.clock.now.offset > Scene.interval * 9 }
            #expect(scene.driver.journal.calls("ListVolumes").count == 1)
        }
    }

    @Test func `a list that has conditions again replaces the single calls`() async throws {
        try await Scene.run { scene in
            try Self.prepare(3, [3, 11, 12])(scene)
            let handles = (0..<3).map { VolumeFixture(number: $0).handle }
            scene.driver.intercept { call in call.method.hasSuffix("/ListVolumes") ? Self.list(handles) : nil }
        } _: { scene in
            try await scene.advance { GetModeTests.calls(scene).count == 3 }
            scene.driver.intercept(nil)
            try await scene.advance { scene.driver.journal.calls("ListVolumes").count >= 3 }
            let calls = scene.driver.journal.calls("ControllerGetVolume").count
            try await scene.advance { scene.driver.journal.calls("ListVolumes").count >= 5 }
            #expect(scene.driver.journal.calls("ControllerGetVolume").count == calls)
        }
    }

    /// The next list is far away at that time.
    @Test func `single calls continue after a restart of the driver`() async throws {
        let volume = VolumeFixture(number: 1)
        try await Scene.run { scene in
            try Self.prepare(3, [3, 11, 12])(scene)
            let handles = (0..<3).map { VolumeFixture(number: $0).handle }
            scene.driver.intercept { call in call.method.hasSuffix("/ListVolumes") ? Self.list(handles) : nil }
        } _: { scene in
            try await scene.advance { GetModeTests.calls(scene).count == 3 }
            await scene.driver.stop()
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
            let stopped = scene.clock.now.offset
            try await scene.advance { scene.clock.now.offset > stopped + GetModeTests.interval * 2 }
            try scene.driver.start()
            try await scene.advance { try scene.events().count == 1 }
            #expect(scene.driver.journal.calls("ListVolumes").count == 1)
        }
    }

    /// weka/csi-wekafs leaves the condition out of some entries on purpose.
    @Test func `entries without a condition are probed one by one, and the list covers the rest`() async throws {
        let silent = VolumeFixture(number: 1)
        let broken = VolumeFixture(number: 2)
        try await Scene.run { scene in
            try Self.prepare(3, [3, 11, 12])(scene)
            scene.driver.set(nil, ofVolume: silent.handle)
            scene.driver.set(.abnormal("broken"), ofVolume: broken.handle)
            scene.driver.intercept { call in
                guard call.method.hasSuffix("ControllerGetVolume"), call.volumeID == silent.handle else { return nil }
                return .volume(SimulatedVolume(id: silent.handle, condition: .abnormal("only probed")))
            }
        } _: { scene in
            try await scene.advance { try scene.events().count == 2 }
            let messages = try scene.events().map { $0["message"]?.string ?? "" }
            #expect(Set(messages) == ["broken", "only probed"])
            try await scene.advance { scene.clock.now.offset > Scene.interval * 2 }
            #expect(Set(GetModeTests.calls(scene).keys) == [silent.handle])
            #expect(scene.driver.journal.calls("ListVolumes").count >= 2)
        }
    }

    /// dell/csi-powerstore lists bare UUIDs, while its handles are `UUID/ARRAY/PROTOCOL`.
    @Test(arguments: [[3, 11, 12], [3, 11]])
    func `a list with other IDs than the handles does not count as an absence`(capabilities: [Int]) async throws {
        let volume = VolumeFixture(number: 1)
        var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "csi-hostpathplugin-0")
        configuration.missingVolumesHold = .seconds(600)
        let canGet = capabilities.contains(12)
        try await Scene.set { scene in
            try Self.prepare(3, capabilities)(scene)
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
            scene.driver.intercept { call in
                guard call.method.hasSuffix("/ListVolumes") else { return nil }
                return .volumes((0..<5).map { SimulatedVolume(id: "uuid-\($0)") })
            }
            try await scene.monitor(configuration) { monitor in
                if canGet { try await scene.advance { try scene.events().count == 1 } }
                try await scene.advance { monitor.snapshot()?.listProblem != nil }
                #expect(monitor.snapshot()?.listProblem == "foreign_ids")
                try await scene.advance { monitor.driverProblem() != nil }
                #expect(monitor.driverProblem()?.contains("uuid-0") == true)
                #expect(monitor.driverProblem()?.contains("volumeHandle") == true)
                try await scene.advance { scene.clock.now.offset > Scene.interval * 4 }
                let messages = try scene.events().map { $0["message"] }
                #expect(messages == (canGet ? ["broken"] : []))
            }
        }
    }

    /// dell/csi-powerflex (service/controller.go, ControllerGetVolume): no `volume` in the reply, and the time in the
    /// message.
    @Test func `an abnormal reply without a volume, whose message changes with every call, is one event`() async throws
    {
        let volume = VolumeFixture(number: 0)
        try await Scene.run { scene in
            try GetModeTests.volumes(1)(scene)
            let journal = scene.driver.journal
            scene.driver.intercept { call in
                guard call.method.hasSuffix("ControllerGetVolume") else { return nil }
                let message = Array("Volume is not found at \(journal.records.count)".utf8)
                let condition = [0x08, 1, 0x12, UInt8(message.count)] + message
                let status = [0x12, UInt8(condition.count)] + condition
                return .reply([0x12, UInt8(status.count)] + status)
            }
        } _: { scene in
            try await scene.advance { GetModeTests.calls(scene, for: volume) >= 5 }
            let events = try scene.events()
            #expect(events.count == 1)
            #expect(events.first?["reason"] == "VolumeConditionAbnormal")
            #expect(events.first?["count"]?.integer == 1)
            // The message is updated at most every 10 minutes.
            try await scene.advance { GetModeTests.calls(scene, for: volume) >= 25 }
            let later = try scene.events()
            #expect(later.count == 1)
            #expect((later.first?["count"]?.integer ?? 0) <= 3)
        }
    }
}
