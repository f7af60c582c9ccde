// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import GRPCTransport
import HealthCore
import HealthRuntime
import Logging
import NodeCore
import Synchronization

/// Another driver responds on the socket than the one whose volumes are monitored.
package struct DriverRenamedError: Error, CustomStringConvertible {
    package var expected: String
    package var found: String

    package var description: String {
        "the driver on the socket calls itself \(found) now, it was \(expected): start again to monitor \(found)"
    }
}

/// One driver of the node: its connection, its identity, and the probes of its volumes and storage.
///
/// It has a connection and tasks of its own, so that a driver that hangs, fails or is restarted stops no other.
final class DriverMonitor: Sendable {
    /// What is known of the connection.
    struct Connection: Sendable {
        /// The name that the driver returned last; nil before it was identified.
        var name: String?
        var version = ""
        var strategy: NodeProbeStrategy?
        /// nil: connected.
        var failure: String?
        /// Since when it is connected, or not.
        var since: Duration
        /// When an interval ended in which every volume was probed.
        var lastSweep: Duration?
    }

    let address: String
    /// The name under which the driver is registered; nil: any driver is monitored, and it keeps its name.
    private let registeredName: String?
    private let context: NodeContext
    private let connected: ConnectedDrivers
    private let client: CSIClient
    private let connection: Mutex<Connection>
    private let loggedCodes = Mutex<Set<String>>([])
    /// The capabilities are to be read again.
    private let outdated = WakeUp()

    /// How often the driver is identified when nothing else requires it.
    private static let identificationInterval = Duration.seconds(300)
    /// The pause after a connection, in case the driver closes every connection at once.
    private static let pause = Duration.seconds(1)
    /// The pause before a driver with another name than the registered one is identified again.
    private static let pauseOfOther = Duration.seconds(10)

    /// - Throws: `GRPCError` if the address is invalid.
    init(
        _ context: NodeContext,
        address: String,
        registeredName: String?,
        connected: ConnectedDrivers,
        calls: @escaping @Sendable (CSIClient.CallObservation) -> Void
    ) throws(GRPCError) {
        self.context = context
        self.address = address
        self.registeredName = registeredName
        self.connected = connected
        client = try CSIClient(
            configuration: .init(address: address, timeout: context.configuration.timeout),
            logger: context.logger,
            observer: calls
        )
        connection = Mutex(
            Connection(name: registeredName, failure: "the driver is not identified yet", since: context.now)
        )
    }

    var current: Connection { connection.withLock { $0 } }

    private var now: Duration { context.now }
    private var time: ElapsedTime { context.time }

    /// Monitors the driver until cancelled, through one connection after the other.
    ///
    /// - Throws: ``DriverRenamedError`` without a registered name; `CancellationError`.
    func run() async throws {
        do {
            while true {
                let identity = try await client.waitForIdentity(of: .node, clock: time.clock) { error, _ in
                    didFail(client.explanation(of: error))
                }
                guard try isExpected(identity.name) else {
                    try await time.sleep(for: Self.pauseOfOther)
                    continue
                }
                try await monitor(identity)
                try await time.sleep(for: Self.pause)
            }
        } catch {
            await client.shutdown()
            throw error
        }
    }

    /// One connection, until it breaks, or until the driver must be identified again.
    private func monitor(_ identity: DriverIdentity) async throws {
        let capabilities = NodeCapabilities(identity.nodeCapabilities)
        didConnect(identity, capabilities.strategy)
        let signal = context.state.addProbeSignal(ofDriver: identity.name)
        connected.add(self, identity.name)
        let began = now
        context.state.update { $0.driverConnected(identity.name, capabilities, at: began) }
        defer {
            connected.remove(identity.name)
            context.state.removeProbeSignal(ofDriver: identity.name)
            context.state.update { $0.driverDisconnected(identity.name) }
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await self.probeVolumes(of: identity.name, wakeUp: signal) }
            group.addTask { try await self.check(identity) }
            try await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Calls Probe in every interval, and reads the capabilities again every five minutes or when they are outdated.
    /// Returns when the connection is broken, when the driver responds after it has not, and when it is another version.
    private func check(_ identity: DriverIdentity) async throws {
        let interval = context.configuration.monitorInterval
        var identity = identity
        var identified = now
        var isUnresponsive = false
        while true {
            let isOutdated = await waitUntilDisconnected(atMost: interval)
            try Task.checkCancellation()
            guard client.isConnected else { return didFail("the connection is closed") }
            do throws(CSIError) {
                if isOutdated || now >= identified + Self.identificationInterval {
                    let new = try await client.identity(of: .node)
                    guard (new.name, new.vendorVersion) == (identity.name, identity.vendorVersion) else { return }
                    if new != identity {
                        didConnect(new, NodeCapabilities(new.nodeCapabilities).strategy)
                    } else if isOutdated {
                        // The driver does not implement what it promises: one call per interval finds whether it does.
                        try? await time.sleep(for: interval)
                    }
                    (identity, identified) = (new, now)
                    let read = now
                    context.state.update {
                        $0.capabilitiesRead(new.name, NodeCapabilities(new.nodeCapabilities), at: read)
                    }
                } else {
                    try await client.probe()
                }
                if isUnresponsive { return }
            } catch {
                try Task.checkCancellation()
                guard error.code == .status(.deadlineExceeded) else {
                    return didFail(client.explanation(of: error))
                }
                isUnresponsive = true
                let failed = now
                handle(context.state.update { $0.driverUnresponsive(identity.name, at: failed) })
            }
        }
    }

    /// Returns when the connection breaks, after `limit`, or on cancellation; or, with true, when the capabilities are
    /// outdated.
    private func waitUntilDisconnected(atMost limit: Duration) async -> Bool {
        await withTaskGroup { group in
            group.addTask {
                await self.client.waitUntilDisconnected()
                return false
            }
            group.addTask {
                try? await self.time.sleep(for: limit)
                return false
            }
            group.addTask {
                await self.outdated.wait()
                return true
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }
}

// MARK: Probes

extension DriverMonitor {
    private func probeVolumes(of name: String, wakeUp: WakeUp) async throws {
        let state = context.state
        let workerThreads = context.configuration.workerThreads
        let limit: @Sendable () -> Int = { workerThreads }
        try await dispatch(atMost: limit, wakeUp: wakeUp, time: time) {
            let now = self.now
            let (round, step) = state.withLock { state in
                (state.completedRound(of: name, at: now), state.nextProbe(of: name, at: now))
            }
            if let round, round.answered > 0 || round.volumes == 0 {
                self.connection.withLock { $0.lastSweep = now }
            }
            switch step {
            case .probe(let probe): return DispatchStep.run(probe)
            case .wait(let due): return .wait(until: due)
            }
        } run: { probe in
            let outcome = await self.outcome(of: probe)
            let received = self.now
            self.handle(state.update { $0.complete(probe: probe, outcome, at: received) })
            try Task.checkCancellation()
        }
    }

    private func outcome(of probe: NodeProbe) async -> NodeProbeOutcome {
        do throws(CSIError) {
            switch probe.strategy {
            case .health:
                let health = try await client.nodeGetVolumeHealth(
                    id: probe.volumeHandle,
                    publishPath: probe.publishPath,
                    stagingPath: probe.stagingPath
                )
                return .health(VolumeHealthReport(health, observer: context.observer))
            case .legacy:
                guard
                    let condition = try await client.nodeGetVolumeStats(
                        id: probe.volumeHandle,
                        volumePath: probe.publishPath
                    )
                else { return .noCondition }
                return .health(
                    VolumeHealthReport(
                        volumeHandle: probe.volumeHandle,
                        conditions: condition.isAbnormal
                            ? [VolumeHealthCondition(abnormalMessage: condition.message)] : []
                    )
                )
            case .none: return .failed(.other)
            }
        } catch {
            log(error, ["volumeHandle": "\(probe.volumeHandle)", "path": "\(probe.publishPath)"])
            return .failed(NodeProbeFailure(error))
        }
    }

    /// Calls NodeGetStorageHealth, and applies the response.
    func probeStorage(_ probe: StorageProbe) async {
        let outcome: StorageProbeOutcome
        do throws(CSIError) {
            outcome = .health(StorageHealth(try await client.nodeGetStorageHealth()))
        } catch {
            log(error, [:])
            outcome = .failed(NodeProbeFailure(error))
        }
        let received = now
        handle(context.state.update { $0.complete(storageProbe: probe, outcome, at: received) })
    }

    /// The first failure with a code is logged as a warning, its repetitions at a higher verbosity. ABORTED is ordinary:
    /// the kubelet calls the driver too.
    private func log(_ error: CSIError, _ metadata: Logger.Metadata) {
        guard !Task.isCancelled else { return }
        let isFirst = loggedCodes.withLock { $0.insert(error.code.description).inserted }
        context.logger.log(
            level: isFirst && error.code != .status(.aborted) ? .warning : .debug,
            "Failed to get health from the driver, retrying",
            metadata: metadata.merging(["driver": "\(client.driverInfo.name)", "err": "\(error)"]) { $1 }
        )
    }

    private func handle(_ changes: [NodeDriverChange]) {
        for change in changes {
            let metadata: Logger.Metadata = ["driver": "\(client.driverInfo.name)"]
            switch change {
            case .startedHanging:
                context.logger.warning(
                    "The driver stopped responding, one call per interval is made until it responds",
                    metadata: metadata
                )
            case .stoppedHanging: context.logger.notice("The driver responded again", metadata: metadata)
            case .capabilitiesOutdated: outdated.signal()
            case .problem(let problem):
                context.logger.error(
                    "Found a problem of the driver",
                    metadata: metadata.merging(["reason": "\(problem.message)"]) { $1 }
                )
            }
        }
    }
}

// MARK: Connection

extension DriverMonitor {
    /// Whether the driver is the one to monitor.
    ///
    /// - Throws: ``DriverRenamedError``.
    private func isExpected(_ name: String) throws -> Bool {
        let expected = registeredName ?? connection.withLock { $0.name } ?? name
        if name == expected { return true }
        guard registeredName != nil else { throw DriverRenamedError(expected: expected, found: name) }
        let failure = "the driver on \(address) calls itself \(name), it is registered as \(expected)"
        if current.failure != failure {
            context.logger.warning("Waiting for the CSI driver", metadata: ["reason": "\(failure)"])
        }
        didFail(failure)
        return false
    }

    private func didConnect(_ identity: DriverIdentity, _ strategy: NodeProbeStrategy) {
        let now = now
        connection.withLock { connection in
            if connection.failure != nil { connection.since = now }
            connection.name = identity.name
            connection.version = identity.vendorVersion
            connection.strategy = strategy
            connection.failure = nil
        }
        loggedCodes.withLock { $0 = [] }
        let metadata: Logger.Metadata = [
            "driver": "\(identity.name)", "version": "\(identity.vendorVersion)",
            "method": "\(strategy.method ?? "none")",
        ]
        if strategy == .none {
            context.logger.warning(
                "The driver does not report volume health, its volumes are not monitored",
                metadata: metadata.merging(["reason": "\(NodeProbeStrategy.missingCapabilities)"]) { $1 }
            )
        } else {
            context.logger.notice("Monitoring the driver's volumes", metadata: metadata)
        }
    }

    private func didFail(_ reason: String) {
        let now = now
        connection.withLock { connection in
            if connection.failure == nil { connection.since = now }
            connection.failure = reason
        }
    }
}
