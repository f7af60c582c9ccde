// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

/// A cache that applies the events becomes equal to the server's objects, whatever happens to them and to the watch.
@Suite(.timeLimit(.minutes(50))) struct WatcherPropertyTests {
    /// A cache of the server's volumes: their versions by name.
    private struct Copy {
        private(set) var versions: [String: String] = [:]
        private var list: [String: String] = [:]

        mutating func handle(_ event: WatcherEvent<PersistentVolume>) {
            switch event {
            case .restarted: list = [:]
            case .listed(let volumes):
                for volume in volumes { list[volume.metadata.name] = volume.metadata.resourceVersion }
            case .synced: versions = list
            case .applied(let volume): versions[volume.metadata.name] = volume.metadata.resourceVersion
            case .deleted(let volume):
                versions[volume.metadata.name] = nil
                list[volume.metadata.name] = nil
            }
        }
    }

    @Test(arguments: 1...8, [false, true])
    func `a cache that follows the events equals the server`(seed: UInt64, streamsLists: Bool) async throws {
        try await TestCluster.with(streamsLists: streamsLists) { cluster in
            let server = cluster.server
            var random = SeededGenerator(seed: seed)
            var copy = Copy()
            var watcher = Watcher<PersistentVolume>(client: cluster.client, logger: cluster.logger)
            watcher.pageLimit = 3
            var events = watcher.makeAsyncIterator()
            for round in 0..<25 {
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    try disturb(server, using: &random)
                }
                // The last change of the round: when the cache has it, it has all before.
                try server.create(.volume("round-\(round)"))
                while copy.versions["round-\(round)"] == nil {
                    let event = try await events.next()
                    copy.handle(try #require(event))
                }
                #expect(copy.versions == (try versions(server)), "seed \(seed), round \(round)")
            }
        }
    }

    private func versions(_ server: SimulatedAPIServer) throws -> [String: String] {
        let pairs = try server.objects(kind: "PersistentVolume").map { object in
            (object["metadata", "name"]?.string ?? "", object["metadata", "resourceVersion"]?.string ?? "")
        }
        return Dictionary(pairs) { $1 }
    }

    private func disturb(_ server: SimulatedAPIServer, using random: inout SeededGenerator) throws {
        let name = "pv-\(Int.random(in: 0..<5, using: &random))"
        let isThere = try server.object(kind: "PersistentVolume", name: name) != nil
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3 where isThere: try server.delete(kind: "PersistentVolume", name: name)
        case 3..<6 where isThere:
            try server.patch(
                kind: "PersistentVolume",
                name: name,
                ["status": ["phase": .string("\(random.next())")]]
            )
        case 0..<6: try server.create(.volume(name))
        case 6: server.watches.last?.end()
        case 7: server.watches.last?.cut(afterBytes: Int.random(in: 0..<60, using: &random))
        case 8: server.watches.last?.sendBookmark()
        default:
            server.watches.last?.cut()
            server.compact()
        }
    }
}
