// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Synchronization

/// A simulated API server, and a node with three CSI drivers and pods that use their volumes: claims, inline and
/// generic ephemeral volumes. The servers are in this process; the agent is one of its own.
struct NodeCluster: Sendable {
    static let nodeName = "node-1"
    /// The real agent and the scripted ones are different users, so that the journal shows whose a request was.
    static let agent = APIUser(name: "agent")
    static let scripted = APIUser(name: "scripted")
    private static let driverNames = ["disk", "file", "object"].map { "\($0).csi.example.com" }

    let server: SimulatedAPIServer
    /// The number of volumes.
    let volumes: Int
    /// The directory of its files; it is removed at the end.
    let directory: String
    private let drivers: [SimulatedDriver]
    private let registrations: [SimulatedPluginRegistration]
    private let requests = AgentRequests()

    var kubeletRoot: String { directory + "/kubelet" }
    /// The file for the agents' standard error.
    var log: String { directory + "/log" }

    func kubeconfig(of user: APIUser) -> String { "\(directory)/\(user.name).kubeconfig" }

    /// Runs a node for as long as `body` runs. When `body` throws, the error has the end of the log.
    static func with<Result: Sendable>(
        pods: Int,
        volumes: Int,
        _ body: (NodeCluster) async throws -> Result
    ) async throws -> Result {
        // A short path, because a socket's path has at most 107 bytes.
        let directory = "/tmp/bench-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var configuration = SimulatedAPIServer.Configuration()
        for user in [agent, scripted] { configuration.users[user.name] = user }
        return try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let node = try NodeCluster(server: server, volumes: volumes, directory: directory)
            try node.createPods(pods)
            for user in [agent, scripted] {
                try server.writeKubeconfig(to: node.kubeconfig(of: user), .token(user.name))
            }
            let result: Swift.Result<Result, any Error>
            do {
                result = .success(try await body(node))
            } catch {
                result = .failure(ToolError(error, log: node.log))
            }
            for registration in node.registrations { await registration.stop() }
            for driver in node.drivers { await driver.stop() }
            return try result.get()
        }
    }

    /// Starts the drivers, one of CSI 1.12 and two of CSI 1.13, and registers them.
    private init(server: SimulatedAPIServer, volumes: Int, directory: String) throws {
        (self.server, self.volumes, self.directory) = (server, volumes, directory)
        let root = directory + "/kubelet"
        drivers = Self.driverNames.enumerated().map { number, name in
            var configuration: SimulatedDriver.Configuration = number == 0 ? .legacyNode : .healthNode
            configuration.name = name
            return SimulatedDriver(socket: "\(root)/plugins/\(name)/csi.sock", configuration: configuration)
        }
        registrations = drivers.map { driver in
            let name = driver.configuration.name
            return SimulatedPluginRegistration(
                socket: "\(root)/plugins_registry/\(name)-reg.sock",
                info: .init(name: name, endpoint: driver.socket)
            )
        }
        for folder in Self.driverNames.map({ "plugins/\($0)" }) + ["plugins_registry"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
        }
        setVolumes(areBroken: false)
        for driver in drivers { try driver.start() }
        for registration in registrations { try registration.start() }
    }

    // MARK: Pods

    private enum Kind {
        case claim
        case inline
        case genericEphemeral
    }

    /// Of five volumes, one is inline and one generic ephemeral.
    private static func kind(_ volume: Int) -> Kind {
        switch volume % 5 {
        case 3: .inline
        case 4: .genericEphemeral
        default: .claim
        }
    }

    /// Creates the pods, and distributes the volumes among them and the drivers.
    private func createPods(_ count: Int) throws {
        try NodeFixture(name: Self.nodeName).store(in: server)
        for pod in 0..<count {
            let numbers = Array(stride(from: pod, to: volumes, by: count))
            let fixture = PodFixture(
                name: "app-\(pod)",
                nodeName: Self.nodeName,
                volumes: numbers.map { number in
                    let source: PodFixture.Volume.Source =
                        switch Self.kind(number) {
                        case .claim: .claim(volume(number).claimName)
                        case .inline: .inline(driver: driverName(number))
                        case .genericEphemeral: .genericEphemeral
                        }
                    return .init(name: "data-\(number)", source: source)
                }
            )
            let uid = try fixture.create(in: server)
            for number in numbers where Self.kind(number) != .inline {
                var volume = volume(number)
                if Self.kind(number) == .genericEphemeral {
                    volume.claimName = "\(fixture.name)-data-\(number)"
                    volume.owner = .init(podName: fixture.name, podUID: uid)
                }
                try volume.create(in: server)
            }
        }
    }

    private func volume(_ number: Int) -> VolumeFixture {
        VolumeFixture(number: number, driverName: driverName(number))
    }

    private func driverName(_ volume: Int) -> String { Self.driverNames[volume % Self.driverNames.count] }

    // MARK: Volumes

    /// Makes all volumes unhealthy, or healthy, from the next calls on.
    func setVolumes(areBroken: Bool) {
        for driver in drivers {
            driver.intercept { call in
                switch call.method.split(separator: "/").last {
                case "NodeGetVolumeStats":
                    return .nodeCondition(areBroken ? .abnormal("The array does not respond") : .healthy)
                case "NodeGetVolumeHealth":
                    var volume = SimulatedVolume(id: call.volumeID)
                    if areBroken {
                        volume.nodeHealth = [.init(status: 2, reason: "Array", message: "The array does not respond")]
                    }
                    return .nodeVolumeHealth(volume)
                default: return nil
                }
            }
        }
    }

    /// The number of volumes that were probed since `time`.
    func probedVolumes(since time: ContinuousClock.Instant) -> Int {
        let probes = drivers.flatMap(\.journal.records).filter { $0.time >= time && !$0.volumePath.isEmpty }
        return Set(probes.map(\.volumeID)).count
    }

    // MARK: Requests

    /// The real agent's requests since `time`, in their order.
    func requests(since time: ContinuousClock.Instant) -> [RequestRecord] {
        requests.collect(from: server.journal)
        return requests.real.filter { $0.time >= time }
    }

    /// Returns the scripted agents' requests since the last call.
    func takeScriptedRequests() -> RequestRate {
        requests.collect(from: server.journal)
        return requests.takeScripted()
    }

    /// The number of events on abnormal volumes, of which each volume has one.
    func abnormalEvents() throws -> Int {
        try server.objects(kind: "Event").count { $0["reason"]?.string == "VolumeConditionAbnormal" }
    }
}

extension [RequestRecord] {
    /// The number of requests by verb and resource, in alphabetical order: `get persistentvolumes`.
    var kinds: [(kind: String, count: Int)] {
        let kinds = map { "\($0.request.verb?.rawValue ?? $0.request.method) \($0.request.resource)" }
        return Dictionary(grouping: kinds) { $0 }.map { ($0.key, $0.value.count) }.sorted { $0.kind < $1.kind }
    }

    /// The greatest number of requests in a second.
    var peakPerSecond: Int {
        reduce(into: RequestRate()) { $0.add($1.time) }.peakPerSecond
    }
}

/// The requests of agents, taken out of the server's journal: those of scripted agents only as numbers, because they
/// can be millions.
private final class AgentRequests: Sendable {
    private struct State {
        var real: [RequestRecord] = []
        var scripted = RequestRate()
    }

    private let state = Mutex(State())

    /// Takes the new records out of the journal.
    func collect(from journal: Journal<RequestRecord>) {
        state.withLock { state in
            for record in journal.takeAll() {
                switch record.request.user {
                case NodeCluster.agent.name: state.real.append(record)
                case NodeCluster.scripted.name: state.scripted.add(record.time)
                default: break
                }
            }
        }
    }

    /// The real agent's requests so far.
    var real: [RequestRecord] { state.withLock { $0.real } }

    /// Returns the scripted agents' requests so far, and counts from zero.
    func takeScripted() -> RequestRate {
        state.withLock { state in
            defer { state.scripted = RequestRate() }
            return state.scripted
        }
    }
}
