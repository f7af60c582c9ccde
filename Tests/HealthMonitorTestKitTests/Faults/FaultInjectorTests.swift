// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct FaultInjectorTests {
    @Test func `every fault is found by its name`() {
        #expect(Fault.all.count == Set(Fault.all.map(\.name)).count)
        for fault in Fault.all { #expect(Fault(name: fault.name) == fault) }
        #expect(Fault(name: "driver/none") == nil)
    }

    @Test func `an impossible fault has a reason`() async throws {
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

    @Test func `a fault lasts until it is ended`() async throws {
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

    @Test func `a server that shuts down refuses requests and closes their connections`() async throws {
        try await SimulatedAPIServer.withServer { server in
            let injector = FaultInjector(server: server, drivers: [], volumes: [])
            let authority = Array(server.certificateAuthority.certificatePEM.utf8)
            let client = try HTTPClient(
                configuration: .init(
                    tls: .init(certificateAuthorities: authority),
                    userAgent: "test",
                    connectTimeout: .seconds(3600)
                )
            )
            try await injector.begin(.apiServer(.shutdown))
            for connections in 1...2 {
                let response = try await client.execute(HTTPRequest(url: server.url + "/api/v1/persistentvolumes"))
                #expect(response.status == 429)
                #expect(response.headers["retry-after"] == "5")
                #expect(response.headers["connection"] == "close")
                let body = try await response.body.collect(upTo: 1000)
                #expect(String(decoding: body, as: UTF8.self).hasPrefix("The apiserver is shutting down"))
                #expect(server.acceptedConnections == connections)
            }
            #expect(try await client.execute(HTTPRequest(url: server.url + "/readyz")).status == 200)
            try await injector.endAll()
            #expect(try await client.execute(HTTPRequest(url: server.url + "/readyz")).status == 200)
            await client.shutdown()
        }
    }
}
