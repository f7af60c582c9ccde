// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

/// What ends a run of a credential plugin: not the request that has started it, but the shutdown of its client.
@Suite(.timeLimit(.minutes(50))) struct ExecRunTests {
    /// A cluster whose plugin waits, with its process id in `process`, until the pipe has a writer.
    private func withWaitingPlugin(
        _ body: (TestCluster, ExecAuthenticator, _ directory: String) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try #require(unsafe mkfifo("\(directory)/pipe", 0o600) == 0)
            let wait = "echo $$ > '\(directory)/process'; read line < '\(directory)/pipe'"
            let plugin = try ScriptedPlugin.make(in: directory, wait: wait)
            // A clock that stands still, so that a busy machine causes no timeout.
            let authenticator = ExecAuthenticator(plugin, clock: ManualClock())
            try await TestCluster.with(credentials: .exec(authenticator)) { cluster in
                _ = try cluster.server.create(["kind": "Lease", "metadata": ["name": "lock"]])
                try await body(cluster, authenticator, directory)
            }
        }
    }

    private func code(_ cluster: TestCluster) async -> KubernetesError.Code? {
        do {
            try await getLease(cluster)
            return nil
        } catch {
            return (error as? KubernetesError)?.code
        }
    }

    /// The process id of the plugin, which waits.
    private func process(in directory: String) async -> String {
        while !Task.isCancelled {
            let text = try? String(contentsOfFile: "\(directory)/process", encoding: .utf8)
            if let text, text.hasSuffix("\n") { return String(text.dropLast()) }
            await pollingPause()
        }
        return ""
    }

    private func release(in directory: String) throws {
        // open(2): returns when the plugin has opened the other end, which reads an end of file then.
        let pipe = unsafe open("\(directory)/pipe", O_WRONLY)
        try #require(pipe >= 0)
        close(pipe)
    }

    @Test func `a run goes on without the request that has started it, and the next one gets its result`() async throws
    {
        try await withWaitingPlugin { cluster, _, directory in
            let first = await withTaskGroup(of: KubernetesError.Code?.self) { group in
                group.addTask { await code(cluster) }
                _ = await process(in: directory)
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(first == .cancelled)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await getLease(cluster) }
                try release(in: directory)
                try await group.next()
            }
            #expect(cluster.requests == ["get leases 200"])
            #expect(ScriptedPlugin.runs(in: directory) == 1)
        }
    }

    @Test func `the shutdown of the client kills the plugin, and no other run begins`() async throws {
        try await withWaitingPlugin { cluster, _, directory in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { #expect(await code(cluster) == .shutdown) }
                let process = await process(in: directory)
                await cluster.client.shutdown()
                #expect(!FileManager.default.fileExists(atPath: "/proc/\(process)"))
            }
            #expect(await code(cluster) == .shutdown)
            #expect(ScriptedPlugin.runs(in: directory) == 1)
            #expect(cluster.requests.isEmpty)
        }
    }

    /// Whether it waits for the run already or asks after it has ended.
    @Test func `a run that a shutdown has ended is no failure for another client`() async throws {
        try await withWaitingPlugin { cluster, authenticator, directory in
            let other = ExecRun()
            try await withThrowingTaskGroup(of: String?.self) { group in
                group.addTask { await code(cluster).map { "\($0)" } }
                _ = await process(in: directory)
                group.addTask { try await authenticator.current(in: other, cluster.logger).credential.token }
                await cluster.client.shutdown()
                try release(in: directory)
                var results: Set<String?> = []
                for try await result in group { results.insert(result) }
                #expect(results == ["shutdown", SimulatedAPIServer.adminToken])
            }
            await other.shutdown()
            #expect(ScriptedPlugin.runs(in: directory) == 2)
        }
    }
}
