// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import GRPCTransport
import Logging
import SwiftProtobuf

extension CSIClient {
    /// Waits until the driver is there and ready, and asks it who it is and what it can do.
    ///
    /// A driver may be restarted or upgraded behind its socket at any time: ask again before relying on what it said
    /// long ago. Any failure means "not yet" and is asked again, at first after a second, later less often; it is
    /// logged when it changes.
    ///
    /// - Parameter failed: called for every failure, with its error and how long the attempt took.
    /// - Throws: only `CancellationError`, on cancellation.
    package func identify(
        clock: some Clock<Duration>,
        failed: (CSIError, Duration) -> Void = { _, _ in }
    ) async throws -> DriverIdentity {
        var wait = Duration.seconds(1)
        var reported: String?
        while true {
            let began = ContinuousClock.now
            do throws(CSIError) {
                let identity = try await identifyOnce()
                if reported != nil {
                    logger.notice("CSI driver is ready", metadata: ["driver": "\(identity.name)"])
                }
                return identity
            } catch {
                try Task.checkCancellation()
                failed(error, ContinuousClock.now - began)
                let reason = problem(error)
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

    /// Why the driver did not answer: where its socket is the reason, what is wrong with it as it is now.
    package func problem(_ error: CSIError) -> String {
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

    /// As ``identify(clock:failed:)``, with one attempt.
    ///
    /// - Throws: ``CSIError``; on cancellation with the status Cancelled.
    package func identifyOnce() async throws(CSIError) -> DriverIdentity {
        try await checkReadiness()
        let info = try await call(
            CSIMethodName.getPluginInfo,
            CSIGetPluginInfoRequest(),
            returning: CSIGetPluginInfoResponse.self
        )
        guard !info.name.isEmpty else {
            throw CSIError(
                code: .invalidResponse,
                method: CSIMethodName.getPluginInfo,
                message: "the driver gave no name, which the CSI specification requires"
            )
        }
        identified(as: info.name, version: info.vendorVersion)
        return DriverIdentity(
            name: info.name,
            vendorVersion: info.vendorVersion,
            controllerCapabilities: try await controllerCapabilities()
        )
    }

    /// Calls Identity/Probe.
    ///
    /// - Throws: ``CSIError``; UNAVAILABLE where the driver says that it is not ready.
    package func checkReadiness() async throws(CSIError) {
        let probe = try await call(CSIMethodName.probe, CSIProbeRequest(), returning: CSIProbeResponse.self)
        guard !probe.hasReady || probe.ready.value else {
            throw CSIError(
                code: .status(.unavailable),
                method: CSIMethodName.probe,
                message: "the driver says that it is not ready"
            )
        }
    }

    /// Empty for a driver without a controller service.
    private func controllerCapabilities() async throws(CSIError) -> Set<ControllerCapability> {
        let plugin = try await call(
            CSIMethodName.getPluginCapabilities,
            CSIGetPluginCapabilitiesRequest(),
            returning: CSIGetPluginCapabilitiesResponse.self
        )
        guard plugin.capabilities.contains(where: { $0.service.type == .controllerService }) else { return [] }
        let controller = try await call(
            CSIMethodName.controllerGetCapabilities,
            CSIControllerGetCapabilitiesRequest(),
            returning: CSIControllerGetCapabilitiesResponse.self
        )
        return Set(controller.capabilities.compactMap { ControllerCapability($0.rpc.type) })
    }
}
