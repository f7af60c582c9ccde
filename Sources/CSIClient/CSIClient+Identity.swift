// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import GRPCTransport
import HealthCore
import Logging
import SwiftProtobuf

/// The Identity service.
extension CSIClient {
    /// The service whose capabilities are read. A driver's controller plugin and its node plugin are processes of their
    /// own, each with the Identity service.
    package enum Service: Sendable, Hashable {
        case controller
        case node
    }

    /// Waits until the driver is ready, and returns its identity.
    ///
    /// A driver may be restarted or upgraded behind its socket at any time, so the result does not stay valid for ever.
    /// Every failure is retried, after 1 second at first, later after up to 10 seconds, and is logged when its reason
    /// changes. After a timeout, the next attempt has a connection of its own.
    ///
    /// - Parameters:
    ///   - service: the service whose capabilities the identity has.
    ///   - onFailure: called for every failure, with its error and how long the attempt took.
    /// - Throws: only `CancellationError`, on cancellation.
    package func waitForIdentity(
        of service: Service = .controller,
        clock: some Clock<Duration>,
        onFailure: (CSIError, Duration) -> Void = { _, _ in }
    ) async throws -> DriverIdentity {
        var wait = Duration.seconds(1)
        var reported: String?
        while true {
            let began = clock.now
            do throws(CSIError) {
                let identity = try await identity(of: service)
                if reported != nil {
                    logger.notice("CSI driver is ready", metadata: ["driver": "\(identity.name)"])
                }
                return identity
            } catch {
                try Task.checkCancellation()
                onFailure(error, began.duration(to: clock.now))
                if error.code == .status(.deadlineExceeded) { reconnect() }
                let reason = explanation(of: error)
                if reason != reported {
                    logger.warning(
                        "Waiting for the CSI driver",
                        metadata: ["address": "\(configuration.address)", "reason": "\(reason)"]
                    )
                }
                reported = reason
            }
            try await clock.sleep(for: wait)
            wait = min(wait * 2, .seconds(10))
        }
    }

    /// An error for users: names a problem with the socket, or the timeout's flag, where that is the reason.
    package func explanation(of error: CSIError) -> String {
        if error.isUnavailable, let path = SocketFile.path(of: configuration.address),
            let problem = SocketFile(path: path).problem
        {
            return problem
        }
        if error.code == .status(.deadlineExceeded) {
            return "\(error.method): no response within \(configuration.timeout), see --timeout"
        }
        return "\(error)"
    }

    /// The identity of a driver that is ready now.
    ///
    /// - Parameter service: the service whose capabilities the identity has.
    /// - Throws: ``CSIError``; on cancellation with the status Cancelled.
    package func identity(of service: Service = .controller) async throws(CSIError) -> DriverIdentity {
        try await probe()
        let info = try await call(
            CSIMethodName.getPluginInfo,
            CSIGetPluginInfoRequest(),
            returning: CSIGetPluginInfoResponse.self
        )
        guard !info.name.isEmpty else { throw .missing("name", method: CSIMethodName.getPluginInfo) }
        // CSI specification, GetPluginInfoResponse; the API server takes no other one in a PersistentVolume. It is a
        // label of metrics.
        guard info.name.utf8.count <= 63, info.name == printable(info.name) else {
            throw .invalid(
                """
                the name "\(excerpt(info.name))" has more than 63 bytes or a control character: the CSI specification \
                allows a domain name of at most 63
                """,
                CSIMethodName.getPluginInfo
            )
        }
        let version = bounded(printable(info.vendorVersion), toBytes: 256)
        setDriver(name: info.name, version: version)
        var identity = DriverIdentity(name: info.name, vendorVersion: version)
        switch service {
        case .controller:
            if try await hasControllerService() { identity.controllerCapabilities = try await controllerCapabilities() }
        case .node: identity.nodeCapabilities = try await nodeCapabilities()
        }
        return identity
    }

    /// Calls Probe.
    ///
    /// - Throws: ``CSIError``; UNAVAILABLE when the driver is not ready.
    package func probe() async throws(CSIError) {
        let response = try await call(CSIMethodName.probe, CSIProbeRequest(), returning: CSIProbeResponse.self)
        guard !response.hasReady || response.ready.value else {
            throw CSIError(
                code: .status(.unavailable),
                method: CSIMethodName.probe,
                message: "the driver is not ready"
            )
        }
    }

    private func hasControllerService() async throws(CSIError) -> Bool {
        let response = try await call(
            CSIMethodName.getPluginCapabilities,
            CSIGetPluginCapabilitiesRequest(),
            returning: CSIGetPluginCapabilitiesResponse.self
        )
        return response.capabilities.contains { $0.service.type == .controllerService }
    }
}
