// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Testing

@testable import KubeletPlugins

/// Over real sockets in a real directory.
@Suite(.timeLimit(.minutes(50))) struct PluginDiscoveryTests {
    private typealias Info = SimulatedPluginRegistration.Info

    @Test func `drivers are found by their registration sockets, at any depth`() async throws {
        try await withKubeletRoot { directories in
            let nested = directories.pluginsRegistry + "/vendor/deep"
            try FileManager.default.createDirectory(atPath: nested, withIntermediateDirectories: true)
            let a = Info(
                name: "a.example",
                endpoint: directories.plugins + "/a/csi.sock",
                versions: ["1.0.0", "1.13.0"]
            )
            let b = Info(name: "B.example", endpoint: "")
            try await withRegistrar(directories.pluginsRegistry + "/a.example-reg.sock", a) { registrar in
                try await withRegistrar(nested + "/anything", b) { _ in
                    let running = RunningDiscovery(directories)
                    try await running.run {
                        await running.wait { running.changes.last?.count == 2 }
                        #expect(
                            running.changes.last == [
                                RegisteredPlugin(
                                    name: "B.example",
                                    endpoint: nested + "/anything",
                                    versions: ["1.0.0"]
                                ),
                                RegisteredPlugin(
                                    name: "a.example",
                                    endpoint: a.endpoint,
                                    versions: ["1.0.0", "1.13.0"]
                                ),
                            ]
                        )
                        #expect(running.discovery.problem == nil)
                        // A socket that has responded is not called again, and nothing but GetInfo is called.
                        await running.readAgain(5)
                        #expect(registrar.journal.records.map(\.method) == ["/pluginregistration.Registration/GetInfo"])
                        #expect(registrar.journal.records.map(\.request) == [[]])
                    }
                    #expect(running.log.contains("notice Found CSI driver"))
                    #expect(!running.log.contains("warning"), "\(running.log)")
                }
            }
        }
    }

    @Test func `neither a stale socket nor one that hangs delays the others`() async throws {
        try await withKubeletRoot { directories in
            let registry = directories.pluginsRegistry
            try StaleSocket.create(at: registry + "/0-stale.sock")
            try await withRegistrar(registry + "/1-hung.sock", Info(name: "hung", endpoint: "")) { hung in
                hung.respond(.never)
                try await withRegistrar(registry + "/2-good.sock", Info(name: "good", endpoint: "")) { _ in
                    let running = RunningDiscovery(directories)
                    try await running.run {
                        await running.wait { running.changes.last?.map(\.name) == ["good"] }
                        await running.wait { running.log.contains("0-stale.sock") }
                        await running.readAgain(20)
                        // One call at a time.
                        #expect(hung.journal.records.count == 1)
                        #expect(running.changes.count == 1)
                    }
                    #expect(running.log.ranges(of: "Failed to read plugin registration, retrying").count == 1)
                }
            }
        }
    }

    @Test func `a socket that hangs is called again after its deadline`() async throws {
        try await withKubeletRoot { directories in
            let info = Info(name: "slow", endpoint: "")
            try await withRegistrar(directories.pluginsRegistry + "/slow.sock", info) { registrar in
                registrar.respond(.never)
                let running = RunningDiscovery(directories, timeout: .seconds(1))
                try await running.run {
                    await running.wait { running.log.contains("DeadlineExceeded") }
                    registrar.respond(nil)
                    await running.advance { running.changes.last?.map(\.name) == ["slow"] }
                }
            }
        }
    }

    @Test func `a stale socket becomes a driver when its registrar starts again`() async throws {
        try await withKubeletRoot { directories in
            let socket = directories.pluginsRegistry + "/a.sock"
            try StaleSocket.create(at: socket)
            let running = RunningDiscovery(directories)
            try await running.run {
                await running.wait { running.log.contains("Failed to read plugin registration") }
                #expect(running.changes.isEmpty)
                try await withRegistrar(socket, Info(name: "a", endpoint: "")) { _ in
                    await running.advance { running.changes.last?.map(\.name) == ["a"] }
                }
                await running.advance { running.changes.last == [] }
            }
            #expect(running.log.contains("notice Lost CSI driver"))
        }
    }

    @Test func `a socket that was created again is read again`() async throws {
        try await withKubeletRoot { directories in
            let socket = directories.pluginsRegistry + "/a.sock"
            let running = RunningDiscovery(directories)
            try await withRegistrar(socket, Info(name: "a", endpoint: directories.plugins + "/old")) { registrar in
                try await running.run {
                    await running.wait { running.changes.count == 1 }
                    await registrar.stop()
                    registrar.info.endpoint = directories.plugins + "/new"
                    try registrar.start()
                    await running.advance { running.changes.last?.map(\.endpoint) == [directories.plugins + "/new"] }
                    #expect(running.changes.allSatisfy { $0.count == 1 })
                    #expect(registrar.journal.records.count == 2)
                }
            }
        }
    }

    @Test(arguments: ["DevicePlugin", "DRAPlugin", "", "csiplugin"])
    func `plugins of other types are called once and not used`(type: String) async throws {
        try await withKubeletRoot { directories in
            let socket = directories.pluginsRegistry + "/other.sock"
            try await withRegistrar(socket, Info(type: type, name: "gpu", endpoint: "")) { registrar in
                let running = RunningDiscovery(directories)
                try await running.run {
                    await running.wait { !registrar.journal.records.isEmpty }
                    await running.readAgain(5)
                    #expect(registrar.journal.records.count == 1)
                    #expect(running.changes.isEmpty)
                }
                #expect(running.log.isEmpty)
            }
        }
    }

    @Test func `a driver's socket outside the mounted directories is reported once`() async throws {
        try await withKubeletRoot { directories in
            let socket = directories.pluginsRegistry + "/a.sock"
            try await withRegistrar(socket, Info(name: "a", endpoint: "/run/vendor/a/csi.sock")) { _ in
                let running = RunningDiscovery(directories)
                try await running.run {
                    await running.wait { running.changes.last?.map(\.endpoint) == ["/run/vendor/a/csi.sock"] }
                    await running.readAgain(3)
                }
                #expect(running.log.ranges(of: "outside the mounted directories").count == 1)
                #expect(running.log.contains("mount the host's /run/vendor/a at the same path"))
            }
        }
    }

    @Test func `a missing directory is reported with the mount that it needs, and read when it exists`() async throws {
        try await withKubeletRoot { directories in
            let registry = directories.pluginsRegistry
            try FileManager.default.removeItem(atPath: registry)
            let running = RunningDiscovery(directories)
            try await running.run {
                await running.readAgain(3)
                let problem = try #require(running.discovery.problem)
                #expect(problem.hasPrefix("cannot read \(registry): No such file or directory"))
                #expect(problem.contains("mount the host's \(registry) at the same path (hostPath, read-only)"))
                #expect(running.log.ranges(of: "Failed to read the plugin registration directory").count == 1)
                try FileManager.default.createDirectory(atPath: registry, withIntermediateDirectories: false)
                try await withRegistrar(registry + "/a.sock", Info(name: "a", endpoint: "")) { _ in
                    await running.advance { running.changes.last?.map(\.name) == ["a"] }
                    #expect(running.discovery.problem == nil)
                    // What was found stays while the directory cannot be read.
                    try FileManager.default.moveItem(atPath: registry, toPath: registry + "-moved")
                    await running.advance { running.discovery.problem != nil }
                    #expect(running.changes.count == 1)
                    try FileManager.default.moveItem(atPath: registry + "-moved", toPath: registry)
                    await running.advance { running.discovery.problem == nil }
                    #expect(running.changes.count == 1)
                }
            }
            #expect(running.log.contains("notice Read the plugin registration directory again"))
        }
    }
}
