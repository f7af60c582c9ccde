// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import Foundation
import HealthMonitorTestKit
import HealthRuntime
import InMemoryLogging
import KubernetesClient
import LeaderElection
import Logging
import Synchronization

@testable import ControllerMonitor

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// An API server, a driver and a monitor between them, on a clock that the test advances.
struct Scene: Sendable {
    let server: SimulatedAPIServer
    let driver: SimulatedDriver
    let clock: ManualClock
    /// The observations of the monitor.
    let observations = Observations()
    /// The log of the monitor.
    let log = InMemoryLogHandler()

    /// The time between sweeps.
    static let interval = Duration.seconds(300)

    /// Without outages of the driver, whose events would come before those that most tests wait for.
    static var configuration: MonitorConfiguration {
        var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "csi-hostpathplugin-0")
        configuration.outageLimits = nil
        return configuration
    }

    private static let token = "monitor"

    /// Sets up a scene, runs a monitor in it while `body` runs, and tears it down.
    ///
    /// - Parameters:
    ///   - configure: Changes the configuration of the monitor.
    ///   - prepare: Sets up the scene before the monitor starts.
    static func run(
        configure: (inout MonitorConfiguration) -> Void = { _ in },
        prepare: (Scene) throws -> Void,
        _ body: @escaping @Sendable (Scene) async throws -> Void
    ) async throws {
        var configuration = Self.configuration
        configure(&configuration)
        try await set { scene in
            try prepare(scene)
            try await scene.monitor(configuration) { _ in try await body(scene) }
        }
    }

    /// Sets up a scene without a monitor.
    static func set(_ body: (Scene) async throws -> Void) async throws {
        var configuration = SimulatedAPIServer.Configuration()
        // The monitor may do exactly what the manifests grant.
        let rules = try await Manifests.example.rules
        configuration.users[token] = APIUser(name: "csi-health-monitor", rules: rules)
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let scene = Scene(
                server: server,
                driver: SimulatedDriver(socket: "/tmp/hm-\(UUID().uuidString.prefix(13)).sock"),
                clock: ManualClock()
            )
            try scene.driver.start()
            let result = await Result { try await body(scene) }
            await scene.driver.stop()
            try result.get()
        }
    }

    /// Runs a monitor as one process while `body` runs.
    ///
    /// - Parameters:
    ///   - leaseNamespace: The namespace of its lease; nil: it runs without leader election.
    ///   - terms: The terms in which it leads, in place of a lease; nil: it always leads.
    ///   - warmStandby: Whether it fills its caches before the first term.
    ///   - isLeading: Whether it may make calls and write.
    ///   - state: The state of the monitor; nil: the test does not need it.
    func monitor(
        _ configuration: MonitorConfiguration = configuration,
        leaseNamespace: String? = nil,
        terms: Terms? = nil,
        warmStandby: Bool = false,
        isLeading: @escaping @Sendable () -> Bool = { true },
        state: SharedHealthState? = nil,
        _ body: @escaping @Sendable (HealthMonitor) async throws -> Void
    ) async throws {
        let kubernetes = try server.client(token: Self.token)
        // Calls never time out either.
        let client = try CSIClient(configuration: .init(address: driver.socket, timeout: .seconds(3600)), logger: quiet)
        let logger = Logger(label: "test") { [log] _ in log }
        let monitor = HealthMonitor(
            MonitorContext(
                configuration: configuration,
                driver: client,
                kubernetes: kubernetes,
                time: ElapsedTime(clock),
                gate: LeadershipGate(logger: logger, isLeading: isLeading),
                logger: logger,
                observer: { [observations] in observations.append($0) },
                dependencies: DependencyTracker(),
                state: state ?? SharedHealthState(HealthState(configuration: .init(configuration)))
            )
        )
        let result = await withTaskGroup(of: Result<Void, any Error>.self) { group in
            group.addTask {
                await Result {
                    if let terms {
                        return try await monitor.run(warmStandby: warmStandby) { try await terms.elect($0) }
                    }
                    guard let leaseNamespace else { return try await monitor.run() }
                    let elector = LeaderElector(
                        client: kubernetes,
                        configuration: .init(
                            namespace: leaseNamespace,
                            name: LeaseName.sanitized("external-health-monitor-leader-\(configuration.driverName)"),
                            identity: configuration.identity,
                            labels: [:],
                            timing: try LeaderElectionTiming(
                                leaseDuration: .seconds(3600),
                                renewDeadline: .seconds(3000),
                                retryPeriod: .milliseconds(20)
                            )
                        ),
                        // Not the test's clock: advancing that by half an hour would lose the lease.
                        clock: ContinuousClock(),
                        health: LeaderElectionHealth(leaseDuration: .seconds(3600)),
                        logger: quiet
                    )
                    try await monitor.run(warmStandby: warmStandby) { try await elector.run($0) }
                }
            }
            // The body polls and advances the clock. It must not take the processor from the monitor: on a busy
            // machine, ever more time would pass and ever more work become due.
            group.addTask(priority: .background) { await Result { try await body(monitor) } }
            let first = await group.next() ?? .success(())
            group.cancelAll()
            return first
        }
        await kubernetes.shutdown()
        await client.shutdown()
        try result.get()
    }

    /// Advances by an interval, and returns when the driver is listed again.
    func sweepAgain() async {
        let count = driver.journal.calls("ListVolumes").count
        clock.advance(by: Self.interval)
        await driver.journal.wait(for: "ListVolumes", count: count + 1)
    }

    /// Advances the clock by one second at a time until `reached`, whenever the monitor sleeps again.
    func advance(until reached: () throws -> Bool) async throws {
        while try !reached() {
            await clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: .seconds(86_400))
            clock.advance(by: .seconds(1))
            await pollingPause()
        }
    }

    /// Waits for the `count`th successful write of a resource. Dry runs do not count.
    func write(
        _ count: Int,
        _ verb: APIRequest.Verb = .create,
        of resource: String = "events"
    ) async -> RequestRecord? {
        var seen = 0
        for await record in server.journal
        where record.request.verb == verb && record.request.resource == resource && (record.code ?? 500) < 300
            && record.request.query["dryRun"] == nil
        {
            seen += 1
            if seen == count { return record }
        }
        return nil
    }

    /// All events on the API server, in order of creation.
    func events() throws -> [JSONValue] {
        try server.objects(kind: "Event").sorted {
            (Int($0["metadata", "resourceVersion"]?.string ?? "") ?? 0)
                < (Int($1["metadata", "resourceVersion"]?.string ?? "") ?? 0)
        }
    }
}

/// The terms of a monitor, which the test begins and ends.
final class Terms: Sendable {
    private let begins = AsyncStream.makeStream(of: Void.self)
    /// Belongs to the current term, because a stream whose consumer was cancelled has ended.
    private let ends = Mutex<AsyncStream<Void>.Continuation?>(nil)
    private let ended = AsyncStream.makeStream(of: Void.self)
    private let errorOfTerm = Mutex<DependencyError?>(nil)

    /// Why the last term ended by itself.
    var dependencyError: DependencyError? { errorOfTerm.withLock { $0 } }

    /// Returns ``dependencyError`` and resets it to nil.
    func takeDependencyError() -> DependencyError? { errorOfTerm.withLock { $0.take() } }

    /// Runs `lead` in each term.
    func elect(_ lead: @escaping @Sendable () async throws -> Void) async throws {
        for await _ in begins.stream {
            let (end, continuation) = AsyncStream.makeStream(of: Void.self)
            ends.withLock { $0 = continuation }
            try await withThrowingTaskGroup { group in
                group.addTask {
                    do {
                        try await lead()
                    } catch let error as DependencyError {
                        self.errorOfTerm.withLock { $0 = error }
                    }
                }
                group.addTask { for await _ in end { return } }
                try await group.next()
                group.cancelAll()
            }
            ended.continuation.yield()
        }
        throw CancellationError()
    }

    func begin() { begins.continuation.yield() }

    /// Returns when the term has ended.
    func end() async {
        // The term may not have begun yet.
        while true {
            if let end = ends.withLock({ $0.take() }) {
                end.yield()
                break
            }
            await pollingPause()
        }
        for await _ in ended.stream { return }
    }

    /// Ends a term and begins the next.
    func change() async {
        await end()
        begin()
    }
}

/// The observations that a monitor reported.
final class Observations: Sendable {
    private let list = Mutex<[MonitorObservation]>([])

    var all: [MonitorObservation] { list.withLock { $0 } }

    func append(_ observation: MonitorObservation) { list.withLock { $0.append(observation) } }
}

extension Result where Success == Void, Failure == any Error {
    init(_ body: () async throws -> Void) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

extension SimulatedAPIServer {
    /// A client whose requests never time out, however slow the machine is.
    func client(token: String) throws -> KubernetesClient {
        let kubeconfig = "/tmp/hm-\(UUID().uuidString.prefix(13)).kubeconfig"
        try writeKubeconfig(to: kubeconfig, .token(token))
        defer { try? FileManager.default.removeItem(atPath: kubeconfig) }
        return try KubernetesClient(
            configuration: .load(kubeconfig: kubeconfig),
            userAgent: "test",
            rateLimit: nil,
            connectTimeout: .seconds(3600),
            requestTimeout: .seconds(3600),
            logger: quiet
        )
    }

    /// Changes a claim as another client would: it gets the annotation `touched`.
    func touchClaim(named name: String) {
        _ = try? patch(
            kind: "PersistentVolumeClaim",
            namespace: "default",
            name: name,
            ["metadata": ["annotations": ["touched": "yes"]]]
        )
    }
}
