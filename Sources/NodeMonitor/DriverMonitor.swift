// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import GRPCTransport
import HealthCore
import HealthRuntime
import KubeletPlugins
import Logging
import NodeCore
import Synchronization

/// One driver of the node: its connection, its identity, and the probes of its volumes and storage.
///
/// It has a connection and tasks of its own, so that a driver that hangs, fails or is restarted stops no other.
final class DriverMonitor: Sendable {
    let address: String
    /// The name under which the driver is registered; nil: any driver is monitored, and it keeps its name.
    let registeredName: String?
    let context: NodeContext
    private let connected: ConnectedDrivers
    let client: CSIClient
    let connection: Mutex<Connection>
    let failures: Mutex<CallFailures>
    /// The capabilities are to be read again.
    let outdated = WakeUp()

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
        let longestGap = max(context.configuration.monitorInterval, NodeHealthState.maximumBackoff)
        failures = Mutex(CallFailures(longestGap: longestGap))
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

    var now: Duration { context.now }
    var time: ElapsedTime { context.time }

    /// Monitors the driver until cancelled, through one connection after the other.
    ///
    /// - Throws: ``DriverRenamedError`` without a registered name; `CancellationError`.
    func run() async throws {
        do {
            var connectedSocket = socket
            // An earlier process may keep its connections open, even one that no longer responds.
            func reconnectIfReplaced() {
                let current = socket
                guard current != connectedSocket else { return }
                client.reconnect()
                connectedSocket = current
            }
            while true {
                reconnectIfReplaced()
                let identity = try await client.waitForIdentity(of: .node, clock: time.clock) { error, _ in
                    didFail(client.explanation(of: error))
                    reconnectIfReplaced()
                }
                guard try isExpected(identity.name) else {
                    try await time.sleep(for: Self.pauseOfOther)
                    continue
                }
                // A socket that was created meanwhile may not be the one that responded.
                if connectedSocket == socket { try await monitor(identity, socket: connectedSocket) }
                try await time.sleep(for: Self.pause)
            }
        } catch {
            await client.shutdown()
            throw error
        }
    }

    /// The socket at the driver's address now; nil where there is none, or the address is not a path.
    private var socket: SocketIdentity? { SocketFile.path(of: address).flatMap(SocketIdentity.init(path:)) }

    /// One connection, until it breaks, or until the driver must be identified again.
    private func monitor(_ identity: DriverIdentity, socket: SocketIdentity?) async throws {
        let capabilities = NodeCapabilities(identity.nodeCapabilities)
        didConnect(identity, capabilities.strategy)
        let signal = context.state.addProbeSignal(ofDriver: identity.name)
        connected.add(self, identity.name)
        let isSameProcess = connected.record(socket: socket, of: identity.name)
        let began = now
        context.state.update {
            $0.driverConnected(identity.name, capabilities, isSameProcess: isSameProcess, at: began)
        }
        defer {
            connected.remove(identity.name)
            context.state.removeProbeSignal(ofDriver: identity.name)
            context.state.update { $0.driverDisconnected(identity.name) }
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await self.probeVolumes(of: identity.name, wakeUp: signal) }
            group.addTask { try await self.check(identity, socket: socket) }
            try await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Calls Probe in every interval, and reads the capabilities again every five minutes or when they are outdated.
    /// Returns when the connection is broken, when the driver is another version, and when another process has created
    /// the socket, whether the earlier one still responds or not.
    ///
    /// Source: the kubelet connects for each of its calls, so it reaches the process that has the socket (Kubernetes,
    /// `newGrpcConn` in pkg/volume/csi/csi_client.go).
    private func check(_ identity: DriverIdentity, socket: SocketIdentity?) async throws {
        let interval = context.configuration.monitorInterval
        var identity = identity
        var identified = now
        var isUnresponsive = false
        // Failures from before this connection say nothing of later calls.
        let connectedAt = now
        failures.withLock { _ = $0.removeEnded(at: connectedAt) }
        while true {
            logEndedFailures()
            guard let end = await wait(atMost: interval, orUntilOutdated: true) else { return }
            if let new = self.socket, new != socket { return didFail("the socket at \(address) was created again") }
            let isOutdated = end == .outdated
            do throws(CSIError) {
                if isOutdated || isUnresponsive || now >= identified + Self.identificationInterval {
                    let new = try await client.identity(of: .node)
                    guard (new.name, new.vendorVersion) == (identity.name, identity.vendorVersion) else { return }
                    if new != identity {
                        didConnect(new, NodeCapabilities(new.nodeCapabilities).strategy)
                    } else if isOutdated {
                        // The driver does not implement what it promises: one call per interval finds whether it does.
                        guard await wait(atMost: interval, orUntilOutdated: false) != nil else { return }
                    }
                    (identity, identified) = (new, now)
                    let read = now
                    context.state.update {
                        $0.capabilitiesRead(new.name, NodeCapabilities(new.nodeCapabilities), at: read)
                    }
                } else {
                    try await client.probe()
                }
                if isUnresponsive {
                    // The same process: its calls that hang still do, so they keep their back-off.
                    isUnresponsive = false
                    handle(context.state.update { $0.driverResponded(identity.name) })
                }
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

    /// Why a wait has ended.
    private enum WaitEnd {
        case disconnected, elapsed, outdated
    }

    /// Waits for a time, or until the capabilities are outdated. Returns nil when the connection breaks, and on
    /// cancellation.
    private func wait(atMost limit: Duration, orUntilOutdated endsWhenOutdated: Bool) async -> WaitEnd? {
        let end = await withTaskGroup { group in
            group.addTask {
                await self.client.waitUntilDisconnected()
                return WaitEnd.disconnected
            }
            group.addTask {
                try? await self.time.sleep(for: limit)
                return WaitEnd.elapsed
            }
            if endsWhenOutdated {
                group.addTask {
                    await self.outdated.wait()
                    return WaitEnd.outdated
                }
            }
            let first = await group.next() ?? .elapsed
            group.cancelAll()
            return first
        }
        if Task.isCancelled { return nil }
        // A call for a volume may have connected again meanwhile, perhaps to a driver that has restarted.
        guard end != .disconnected, client.isConnected else {
            didFail("the connection is closed")
            return nil
        }
        return end
    }
}
