// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport
import Synchronization

/// A CSI driver for tests and demonstrations: real gRPC on a Unix socket, volumes whose condition the test decides, and
/// no storage behind it.
///
/// It answers the Identity service, and of the Controller service what a health monitor asks for, in an encoding of its
/// own. Change its volumes at any time; plan faults with ``intercept(_:)``; see in ``journal`` what it was asked.
package final class SimulatedDriver: Sendable {
    /// Who the driver is and what it can do.
    package struct Configuration: Sendable {
        /// The driver's name.
        package var name: String
        /// Any text.
        package var vendorVersion: String
        /// Controller RPCs by their number in the specification; nil: no controller service.
        package var controllerCapabilities: [Int]?
        /// How many volumes a page of a list has when the caller leaves it to the driver; 0: all.
        package var pageSize: Int
        /// Whether ControllerListVolumeHealth lists volumes of which nothing is wrong, which it should leave out.
        package var listsHealthyVolumes = false
        /// Whether ControllerGetVolume answers OK and an abnormal condition for a volume that the driver does not have,
        /// as csi-driver-host-path does, and not NOT_FOUND.
        package var reportsUnknownVolumesAbnormal = false
        /// How long the driver takes for each call.
        package var latency = Duration.zero
        /// The storage behind the driver, which serves only some calls about volumes at a time; nil: as many as come.
        package var array: SimulatedArray?

        /// LIST_VOLUMES (3) and LIST_VOLUME_HEALTH (17): what a driver lists volumes by.
        package static let listCapabilities = [3, 17]
        /// GET_VOLUME_HEALTH (16) and LIST_VOLUME_HEALTH (17).
        package static let healthCapabilities = [16, 17]
        /// A driver of CSI 1.3 to 1.12 that reports conditions: LIST_VOLUMES (3), VOLUME_CONDITION (11), GET_VOLUME (12).
        package static let legacy = Configuration()
        /// A driver of CSI 1.13 that reports health.
        package static let health = Configuration(controllerCapabilities: healthCapabilities)

        /// By default ``legacy``.
        package init(
            name: String = "hostpath.csi.k8s.io",
            vendorVersion: String = "v1.17.0",
            controllerCapabilities: [Int]? = [3, 11, 12],
            pageSize: Int = 0
        ) {
            self.name = name
            self.vendorVersion = vendorVersion
            self.controllerCapabilities = controllerCapabilities
            self.pageSize = pageSize
        }
    }

    private struct State {
        var configuration: Configuration
        var volumes = VolumeTable()
        var interceptor: Interceptor?
        var server: GRPCServer?
    }

    /// The socket's path.
    package let socket: String
    /// Every call so far and to come.
    package let journal = Journal<SimulatedCall>()
    private let state: Mutex<State>

    /// A driver that does not listen yet.
    ///
    /// - Parameter socket: the path of its Unix socket, at most 107 bytes.
    package init(socket: String, configuration: Configuration = Configuration()) {
        self.socket = socket
        state = Mutex(State(configuration: configuration))
    }

    /// Who the driver is and what it can do, from the next call on.
    package var configuration: Configuration {
        get { state.withLock { $0.configuration } }
        set { state.withLock { $0.configuration = newValue } }
    }

    /// The driver's volumes, in the order of its lists. Of several with one id, calls about one volume mean the first.
    ///
    /// To read or to replace them takes time in proportion to their number; to change one, `set(_:ofVolume:)` does not.
    package var volumes: [SimulatedVolume] {
        get { state.withLock { $0.volumes.all } }
        set {
            let table = VolumeTable(newValue)
            state.withLock { $0.volumes = table }
        }
    }

    /// Says of a volume, which is added where it is missing, how it is.
    package func set(_ condition: SimulatedVolume.Condition?, ofVolume id: String) {
        state.withLock { state in state.volumes.change(id) { $0.condition = condition } }
    }

    /// Says of a volume, which is added where it is missing, what the health RPCs find wrong with it.
    package func set(health: [SimulatedVolume.HealthEntry], ofVolume id: String) {
        state.withLock { state in state.volumes.change(id) { $0.health = health } }
    }

    /// Decides on calls before the driver does.
    package typealias Interceptor = @Sendable (SimulatedCall) async -> SimulatedResponse?

    /// From now on, this sees every call before it is answered, may take its time, and answers itself unless it returns
    /// nil; nil ends that.
    package func intercept(_ interceptor: Interceptor?) {
        state.withLock { $0.interceptor = interceptor }
    }

    /// Listens. After ``stop()`` it may be started again, on the same socket.
    ///
    /// - Throws: when it cannot listen there.
    package func start() throws(GRPCError) {
        let server = try GRPCServer(address: socket) { [weak self] method, request in
            await self?.answer(method, request) ?? .failure(GRPCError(code: .unavailable, message: "gone"))
        }
        state.withLock { $0.server = server }
    }

    /// Ends all calls and closes the socket.
    package func stop() async {
        let server = state.withLock { state in
            defer { state.server = nil }
            return state.server
        }
        await server?.shutdown()
    }

    /// What the driver itself answers, without an interceptor.
    func regularResponse(to call: SimulatedCall) -> SimulatedResponse {
        let (configuration, volumes) = state.withLock { ($0.configuration, $0.volumes) }
        return Self.answer(call, configuration, volumes)
    }

    private func answer(_ method: String, _ request: [UInt8]) async -> Result<[UInt8], GRPCError> {
        let call = SimulatedCall(method: method, request: request)
        journal.append(call)
        let (interceptor, configuration) = state.withLock { ($0.interceptor, $0.configuration) }
        // Both end early with the call, which gets no response then.
        if configuration.latency > .zero { try? await ContinuousClock().sleep(for: configuration.latency) }
        if let array = configuration.array, call.isAboutVolumes { await array.serve() }
        switch await interceptor?(call) ?? regularResponse(to: call) {
        case .reply(let bytes): return .success(bytes)
        case .fail(let code, let message): return .failure(GRPCError(code: code, message: message))
        case .never:
            // Ends with the call: the task is cancelled then.
            await untilCancelled()
            return .failure(GRPCError(code: .cancelled, message: "never answered"))
        }
    }
}
