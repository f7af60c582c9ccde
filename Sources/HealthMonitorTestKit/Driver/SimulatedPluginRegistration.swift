// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
package import GRPCTransport
import Synchronization

/// A registrar of a CSI driver: serves pluginregistration.Registration on a socket of its own, as node-driver-registrar
/// does for the kubelet.
///
/// Source: k8s.io/kubelet, pkg/apis/pluginregistration/v1/api.proto.
package final class SimulatedPluginRegistration: Sendable {
    /// A PluginInfo.
    package struct Info: Sendable {
        /// `CSIPlugin`, `DevicePlugin` or `DRAPlugin`.
        package var type: String
        package var name: String
        /// The path of the driver's socket; empty for the registration socket.
        package var endpoint: String
        package var versions: [String]

        package init(type: String = "CSIPlugin", name: String, endpoint: String, versions: [String] = ["1.0.0"]) {
            self.type = type
            self.name = name
            self.endpoint = endpoint
            self.versions = versions
        }

        /// type=1, name=2, endpoint=3, supported_versions=4.
        fileprivate var encoded: [UInt8] {
            var info = WireWriter()
            info.bytes(type.utf8, field: 1)
            info.bytes(name.utf8, field: 2)
            if !endpoint.isEmpty { info.bytes(endpoint.utf8, field: 3) }
            for version in versions { info.bytes(version.utf8, field: 4) }
            return info.bytes
        }
    }

    /// A call that the registrar received.
    package struct Call: Sendable, Hashable {
        /// `/pluginregistration.Registration/GetInfo`
        package var method: String
        package var request: [UInt8]
    }

    private struct State {
        var info: Info
        var response: SimulatedResponse?
        var server: GRPCServer?
    }

    package let socket: String
    package let journal = Journal<Call>()
    private let state: Mutex<State>

    /// Makes a registrar, which listens after ``start()``.
    ///
    /// - Parameter socket: the path of its Unix socket, at most 107 bytes.
    package init(socket: String, info: Info) {
        self.socket = socket
        state = Mutex(State(info: info))
    }

    /// A change applies from the next call on.
    package var info: Info {
        get { state.withLock { $0.info } }
        set { state.withLock { $0.info = newValue } }
    }

    /// Sets the response to all calls in place of the registrar's own; nil removes it.
    package func respond(_ response: SimulatedResponse?) {
        state.withLock { $0.response = response }
    }

    /// Listens. May be called again after ``stop()``, which creates a new socket.
    ///
    /// - Throws: when it cannot listen there.
    package func start() throws(GRPCError) {
        let server = try GRPCServer(address: socket) { [weak self] method, request in
            await self?.respond(to: Call(method: method, request: request))
                ?? .failure(GRPCError(code: .unavailable, message: "gone"))
        }
        state.withLock { $0.server = server }
    }

    /// Ends all calls and removes the socket.
    package func stop() async {
        let server = state.withLock { state in
            defer { state.server = nil }
            return state.server
        }
        await server?.shutdown()
        try? FileManager.default.removeItem(atPath: socket)
    }

    private func respond(to call: Call) async -> Result<[UInt8], GRPCError> {
        journal.append(call)
        let (info, response) = state.withLock { ($0.info, $0.response) }
        let isGetInfo = call.method == "/pluginregistration.Registration/GetInfo"
        let regular: SimulatedResponse = isGetInfo ? .reply(info.encoded) : .fail(.unimplemented, call.method)
        switch response ?? regular {
        case .reply(let bytes): return .success(bytes)
        case .fail(let code, let message): return .failure(GRPCError(code: code, message: message))
        case .never:
            // The task is cancelled when the call ends.
            await untilCancelled()
            return .failure(GRPCError(code: .cancelled, message: "no response"))
        }
    }
}
