// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct FaultInjectorTests {
    @Test func everyFaultIsFoundByItsName() {
        #expect(Fault.all.count == Set(Fault.all.map(\.name)).count)
        for fault in Fault.all { #expect(Fault(name: fault.name) == fault) }
        #expect(Fault(name: "driver/none") == nil)
    }

    @Test func whatCannotBeDoneSaysWhy() async throws {
        try await SimulatedAPIServer.withServer { server in
            let injector = FaultInjector(server: server, drivers: [], volumes: [])
            await #expect(throws: FaultInjector.Impossible.self) {
                try await injector.begin(.apiServer(.tokenRotated))
            }
            await #expect(throws: FaultInjector.Impossible.self) {
                try await injector.begin(.cluster(.claimDeleted))
            }
            #expect(injector.active == [])
        }
    }

    @Test func aFaultLastsUntilItIsEnded() async throws {
        try await SimulatedAPIServer.withServer { server in
            let injector = FaultInjector(server: server, drivers: [], volumes: [])
            try await injector.begin(.apiServer(.statusFieldDropped))
            try await injector.begin(.apiServer(.statusFieldDropped))
            #expect(injector.active == [.apiServer(.statusFieldDropped)])
            #expect(!server.featureGates.contains(.csiVolumeHealth))
            try await injector.endAll()
            #expect(injector.active == [])
            #expect(server.featureGates.contains(.csiVolumeHealth))
        }
    }
}
