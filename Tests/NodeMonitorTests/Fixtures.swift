// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesClient
import Logging
import NodeMonitor

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// An API server, a driver's node plugin and an agent between them, on a clock that the test advances.
struct NodeScene: Sendable {
    static let node = "node-1"
    static let driverName = "hostpath.csi.k8s.io"

    let server: SimulatedAPIServer
    let driver: SimulatedDriver
    let clock = ManualClock()
    /// The kubelet's root directory, with registration sockets.
    let root: String
    /// The log of the agent.
    let log = InMemoryLogHandler()

    private static let token = "agent"

    /// The rights that the agent needs.
    static let rules = [
        PolicyRule(verbs: ["list", "watch"], apiGroups: [""], resources: ["pods"]),
        PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["persistentvolumeclaims", "persistentvolumes"]),
        PolicyRule(verbs: ["create", "get", "patch"], apiGroups: [""], resources: ["events"]),
    ]
    /// Only for the readiness condition.
    static let readinessRule = PolicyRule(verbs: ["patch"], apiGroups: [""], resources: ["pods/status"])

    /// Sets up a scene, runs an agent in it while `body` runs, and tears it down.
    ///
    /// - Parameters:
    ///   - configure: changes the configuration of the agent.
    ///   - prepare: sets up the scene before the agent starts.
    static func run(
        _ driver: SimulatedDriver.Configuration = .legacyNode,
        configure: @escaping @Sendable (inout NodeMonitorConfiguration) -> Void = { _ in },
        prepare: (NodeScene) throws -> Void,
        _ body: @escaping @Sendable (NodeScene, NodeMonitor) async throws -> Void
    ) async throws {
        try await set(driver) { scene in
            try prepare(scene)
            try await scene.monitor(configure: configure) { try await body(scene, $0) }
        }
    }

    /// Sets up a scene without an agent.
    static func set(
        _ driver: SimulatedDriver.Configuration = .legacyNode,
        _ body: (NodeScene) async throws -> Void
    ) async throws {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users[token] = APIUser(name: "csi-health-monitor-agent", rules: rules + [readinessRule])
        let root = "/tmp/nm-\(UUID().uuidString.prefix(13))"
        for directory in ["plugins", "plugins_registry"] {
            try FileManager.default.createDirectory(
                atPath: "\(root)/\(directory)",
                withIntermediateDirectories: true
            )
        }
        defer { try? FileManager.default.removeItem(atPath: root) }
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let scene = NodeScene(
                server: server,
                driver: SimulatedDriver(socket: "\(root)/csi.sock", configuration: driver),
                root: root
            )
            try scene.driver.start()
            let result = await Result { try await body(scene) }
            await scene.driver.stop()
            try result.get()
        }
    }

    private init(server: SimulatedAPIServer, driver: SimulatedDriver, root: String) {
        self.server = server
        self.driver = driver
        self.root = root
    }

    /// Runs an agent as one process while `body` runs.
    ///
    /// - Parameter random: the agent's source of randomness.
    func monitor(
        configure: (inout NodeMonitorConfiguration) -> Void = { _ in },
        random: @escaping @Sendable () -> Double = { 0.5 },
        _ body: @escaping @Sendable (NodeMonitor) async throws -> Void
    ) async throws {
        var configuration = NodeMonitorConfiguration(nodeName: Self.node, drivers: .socket(driver.socket))
        configuration.startJitter = .zero
        configuration.reportDelay = .zero
        // Calls never time out, however slow the machine is.
        configuration.timeout = .seconds(3600)
        configure(&configuration)
        let (kubernetes, events) = try (client(), client())
        let monitor = NodeMonitor(
            configuration: configuration,
            kubernetes: kubernetes,
            events: events,
            clock: clock,
            logger: Logger(label: "test") { [log] _ in log },
            random: random
        )
        let result = await withTaskGroup(of: Result<Void, any Error>.self) { group in
            group.addTask { await Result { try await monitor.run() } }
            // The body polls and advances the clock. It must not take the processor from the agent.
            group.addTask(priority: .background) { await Result { try await body(monitor) } }
            let first = await group.next() ?? .success(())
            group.cancelAll()
            return first
        }
        await kubernetes.shutdown()
        await events.shutdown()
        try result.get()
    }

    private func client() throws -> KubernetesClient {
        let kubeconfig = "\(root)/kubeconfig"
        try server.writeKubeconfig(to: kubeconfig, .token(Self.token))
        return try KubernetesClient(
            configuration: .load(kubeconfig: kubeconfig),
            userAgent: "test",
            rateLimit: nil,
            connectTimeout: .seconds(3600),
            requestTimeout: .seconds(3600),
            logger: quiet
        )
    }
}

// MARK: What happens

extension NodeScene {
    /// Advances the clock by one second at a time until `reached`, whenever the agent sleeps again.
    func advance(until reached: () throws -> Bool) async throws {
        while try !reached() {
            try Task.checkCancellation()
            await clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: .seconds(86_400))
            clock.advance(by: .seconds(1))
            await pollingPause()
        }
    }

    /// Advances the clock until so many calls for a volume were made, of those that are in the journal already.
    func advance(untilProbed handle: String, _ count: Int) async throws {
        try await advance { probes(of: handle).count >= count }
    }

    /// Advances the clock until a volume was probed so many times more.
    func advance(untilProbedAgain handle: String, _ count: Int) async throws {
        try await advance(untilProbed: handle, probes(of: handle).count + count)
    }

    /// Advances the clock until so many events exist.
    func advance(untilEvents count: Int) async throws {
        try await advance { try events().count >= count }
    }

    /// The calls for the health of a volume.
    func probes(of handle: String) -> [SimulatedCall] {
        (driver.journal.calls("NodeGetVolumeStats") + driver.journal.calls("NodeGetVolumeHealth"))
            .filter { $0.volumeID == handle }
    }

    /// All events on the API server, in the order in which they were last written.
    func events() throws -> [JSONValue] {
        try server.objects(kind: "Event").sorted {
            (Int($0["metadata", "resourceVersion"]?.string ?? "") ?? 0)
                < (Int($1["metadata", "resourceVersion"]?.string ?? "") ?? 0)
        }
    }

    /// The requests of the agent for a resource, with its subresource.
    func requests(for resource: String, _ verb: APIRequest.Verb? = nil) -> [APIRequest] {
        server.journal.records.map(\.request).filter { request in
            let name = request.subresource.isEmpty ? request.resource : "\(request.resource)/\(request.subresource)"
            return name == resource && (verb == nil || request.verb == verb)
        }
    }

    /// Sets the health of a volume on the node, as either generation of drivers reports it.
    func set(_ message: String?, ofVolume handle: String) {
        driver.set(nodeCondition: message.map { .abnormal($0) } ?? .healthy, ofVolume: handle)
        driver.set(
            nodeHealth: message.map { [.init(status: 2, reason: "MountLost", message: $0)] } ?? [],
            ofVolume: handle
        )
    }

    /// Makes the agent's watch fall behind: from now on it shows nothing.
    func holdWatch() async {
        let (arrived, arrive) = AsyncStream.makeStream(of: Void.self)
        server.intercept { request in
            guard request.verb == .watch else { return nil }
            arrive.yield()
            return .hold
        }
        for watch in server.watches { watch.end() }
        for await _ in arrived { return }
    }

    /// Creates a namespace, a bound volume, healthy on the driver, and a started pod that uses it.
    ///
    /// - Returns: the pod's uid.
    @discardableResult
    func createPod(_ name: String = "my-csi-app", _ volume: VolumeFixture = VolumeFixture(number: 0)) throws -> String {
        if try server.object(kind: "Namespace", name: volume.namespace) == nil {
            try server.create([
                "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(volume.namespace)],
            ])
        }
        try volume.create(in: server)
        set(nil, ofVolume: volume.handle)
        var pod = PodFixture(name: name, nodeName: Self.node, claimNames: [volume.claimName])
        pod.namespace = volume.namespace
        return try pod.create(in: server)
    }
}

extension Result where Success == Void, Failure == any Error {
    fileprivate init(_ body: () async throws -> Void) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
