// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct HandoverProgramTests {
    private static let volume = VolumeFixture(number: 0)
    private static let lease = "external-health-monitor-leader-hostpath-csi-k8s-io"

    /// A replica with a driver of its own.
    private struct Replica: Sendable {
        let name: String
        let driver: SimulatedDriver
        let kubeconfig: String

        init(_ name: String, in directory: String) throws {
            self.name = name
            kubeconfig = "\(directory)/kubeconfig"
            driver = SimulatedDriver(socket: "\(directory)/\(name).sock", configuration: .health)
            driver.set(.healthy, ofVolume: volume.handle)
            try driver.start()
        }

        func run(while body: @escaping @Sendable () async throws -> Void) async throws {
            _ = try await Tool.run(
                programPath(),
                [
                    "--csi-address=\(driver.socket)", "--timeout=1h", "--kubeconfig=\(kubeconfig)",
                    "--list-volumes-interval=1s",
                    "--leader-election", "--leader-election-namespace=default",
                    "--leader-election-lease-duration=30s", "--leader-election-renew-deadline=20s",
                    "--leader-election-retry-period=100ms", "--driver-unavailable-timeout=1s",
                ],
                environment: ["POD_NAME": name]
            ) { _ in try await body() }
        }
    }

    /// The leader goes on renewing its Lease while its driver is away: it must release it.
    @Test func `a leader whose driver has ended releases the Lease to a replica whose driver works`() async throws {
        let directory = "/tmp/hp-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            try Self.volume.create(in: server)
            let (first, second) = (try Replica("first", in: directory), try Replica("second", in: directory))
            try await first.run {
                while try Self.holder(server) != "first" { try await cancellablePollingPause() }
                await first.driver.journal.wait(for: "ControllerListVolumeHealth", count: 1)
                try await second.run {
                    await first.driver.stop()
                    second.driver.set(health: [.init(status: 3, reason: "Gone")], ofVolume: Self.volume.handle)
                    // Only the second one can know of this.
                    while try Self.events(server, of: "PersistentVolumeClaim").isEmpty {
                        try await cancellablePollingPause()
                    }
                    let change = "first stopped leading"
                    while try !Self.events(server, of: "Lease").contains(where: { $0.hasPrefix(change) }) {
                        try await cancellablePollingPause()
                    }
                }
            }
            #expect(try Self.events(server, of: "PersistentVolumeClaim") == ["DataLoss (Gone)"])
            await second.driver.stop()
        }
    }

    /// The messages of the events about objects of a kind.
    private static func events(_ server: SimulatedAPIServer, of kind: String) throws -> [String] {
        try server.objects(kind: "Event").filter { $0["involvedObject", "kind"]?.string == kind }
            .compactMap { $0["message"]?.string }
    }

    private static func holder(_ server: SimulatedAPIServer) throws -> String? {
        try server.object(kind: "Lease", namespace: "default", name: lease)?["spec", "holderIdentity"]?.string
    }
}
