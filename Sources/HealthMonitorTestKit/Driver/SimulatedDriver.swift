// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport
import Synchronization

/// A CSI driver for tests and the demo: real gRPC on a Unix socket, volumes whose condition the test sets, and no
/// storage.
///
/// It implements the Identity service and the Controller and Node RPCs that a health monitor calls, in an encoding of its own.
/// Volumes may change at any time, ``intercept(_:)`` injects faults, and ``journal`` has all calls.
package final class SimulatedDriver: Sendable {
    /// The driver's identity and capabilities.
    package struct Configuration: Sendable {
        package var name: String
        package var vendorVersion: String
        /// Controller capabilities by their number in the specification; nil for no controller service. With
        /// CREATE_DELETE_VOLUME (1) the driver has CreateVolume and DeleteVolume.
        package var controllerCapabilities: [Int]?
        /// Node capabilities by their number in the specification; nil for no node service.
        package var nodeCapabilities: [Int]?
        /// How NodeGetVolumeStats checks the path on the file system.
        package var pathCheck = PathCheck.none
        /// What NodeGetStorageHealth reports, with a `StorageHealthErrorType` as status: 1 STORAGE_DEGRADED, 2
        /// STORAGE_UNREACHABLE; empty for healthy storage.
        package var storageHealth: [SimulatedVolume.HealthEntry] = []
        /// The entries on a page when the request has no max_entries; 0 for all.
        package var pageSize: Int
        /// Whether ControllerListVolumeHealth lists healthy volumes too, which it should leave out.
        package var listsHealthyVolumes = false
        /// Whether ControllerGetVolume responds with OK and an abnormal condition for a volume that does not exist, as
        /// csi-driver-host-path does, instead of NOT_FOUND.
        package var reportsUnknownVolumesAbnormal = false
        /// The latency of every call.
        package var latency = Duration.zero
        /// The storage that serves calls about volumes; nil for storage without a queue.
        package var array: SimulatedArray?

        /// The capabilities to list volumes: LIST_VOLUMES (3) and LIST_VOLUME_HEALTH (17).
        package static let listCapabilities = [3, 17]
        /// GET_VOLUME_HEALTH (16) and LIST_VOLUME_HEALTH (17).
        package static let healthCapabilities = [16, 17]
        /// A driver of CSI 1.3 to 1.12 that reports conditions: LIST_VOLUMES (3), VOLUME_CONDITION (11), GET_VOLUME
        /// (12).
        package static let legacy = Configuration()
        /// A driver of CSI 1.13 that reports health.
        package static let health = Configuration(controllerCapabilities: healthCapabilities)

        /// The node plugin of a driver of CSI 1.3 to 1.12 that reports conditions: STAGE_UNSTAGE_VOLUME (1),
        /// GET_VOLUME_STATS (2), VOLUME_CONDITION (4).
        package static let legacyNode = Configuration(controllerCapabilities: nil, nodeCapabilities: [1, 2, 4])
        /// The node plugin of a driver of CSI 1.13 that reports health: STAGE_UNSTAGE_VOLUME (1), GET_VOLUME_STATS (2),
        /// GET_VOLUME_HEALTH (7), GET_STORAGE_HEALTH (8).
        package static let healthNode = Configuration(controllerCapabilities: nil, nodeCapabilities: [1, 2, 7, 8])

        /// By default ``legacy``.
        package init(
            name: String = "hostpath.csi.k8s.io",
            vendorVersion: String = "v1.17.0",
            controllerCapabilities: [Int]? = [3, 11, 12],
            pageSize: Int = 0,
            nodeCapabilities: [Int]? = nil
        ) {
            self.name = name
            self.vendorVersion = vendorVersion
            self.controllerCapabilities = controllerCapabilities
            self.pageSize = pageSize
            self.nodeCapabilities = nodeCapabilities
        }
    }

    private struct State {
        var configuration: Configuration
        var volumes = VolumeTable()
        var interceptor: Interceptor?
        /// By path.
        var pathResponses: [String: SimulatedResponse] = [:]
        var server: GRPCServer?
    }

    package let socket: String
    package let journal = Journal<SimulatedCall>()
    private let state: Mutex<State>

    /// Makes a driver, which listens after ``start()``.
    ///
    /// - Parameter socket: the path of its Unix socket, at most 107 bytes.
    package init(socket: String, configuration: Configuration = Configuration()) {
        self.socket = socket
        state = Mutex(State(configuration: configuration))
    }

    /// A change applies from the next call on.
    package var configuration: Configuration {
        get { state.withLock { $0.configuration } }
        set { state.withLock { $0.configuration = newValue } }
    }

    /// The driver's volumes, in the order of its lists. Of several with the same id, calls for one volume find the
    /// first.
    ///
    /// Reading and setting take time in proportion to their number; `set(_:ofVolume:)` does not.
    package var volumes: [SimulatedVolume] {
        get { state.withLock { $0.volumes.all } }
        set {
            let table = VolumeTable(newValue)
            state.withLock { $0.volumes = table }
        }
    }

    /// Sets a volume's condition; a missing volume is added.
    package func set(_ condition: SimulatedVolume.Condition?, ofVolume id: String) {
        state.withLock { state in state.volumes.change(id) { $0.condition = condition } }
    }

    /// Sets a volume's health entries; a missing volume is added.
    package func set(health: [SimulatedVolume.HealthEntry], ofVolume id: String) {
        state.withLock { state in state.volumes.change(id) { $0.health = health } }
    }

    /// The same for several volumes, between two calls.
    package func set(health: [SimulatedVolume.HealthEntry], ofVolumes ids: [String]) {
        state.withLock { state in
            for id in ids { state.volumes.change(id) { $0.health = health } }
        }
    }

    /// Sets a volume's condition on this node; a missing volume is added.
    package func set(nodeCondition condition: SimulatedVolume.Condition?, ofVolume id: String) {
        state.withLock { state in state.volumes.change(id) { $0.nodeCondition = condition } }
    }

    /// Sets a volume's health entries on this node; a missing volume is added.
    package func set(nodeHealth health: [SimulatedVolume.HealthEntry], ofVolume id: String) {
        state.withLock { state in state.volumes.change(id) { $0.nodeHealth = health } }
    }

    /// Sets the response to all calls of the node service about a path: with ``SimulatedResponse/never``, a mount that
    /// hangs. nil removes it.
    package func respond(_ response: SimulatedResponse?, atPath path: String) {
        state.withLock { $0.pathResponses[path] = response }
    }

    /// Sees a call before the driver handles it, and may respond in its place.
    package typealias Interceptor = @Sendable (SimulatedCall) async -> SimulatedResponse?

    /// Sets the interceptor of all calls. A call waits until it returns; when it returns nil, the driver responds. nil
    /// removes it.
    package func intercept(_ interceptor: Interceptor?) {
        state.withLock { $0.interceptor = interceptor }
    }

    /// Listens. May be called again after ``stop()``, on the same socket.
    ///
    /// - Throws: when it cannot listen there.
    package func start() throws(GRPCError) {
        let server = try GRPCServer(address: socket) { [weak self] method, request in
            await self?.respond(to: method, request) ?? .failure(GRPCError(code: .unavailable, message: "gone"))
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

    /// The driver's own response, without an interceptor.
    func regularResponse(to call: SimulatedCall) -> SimulatedResponse {
        let (configuration, volumes, response) = state.withLock { state in
            (state.configuration, state.volumes, state.pathResponses[call.volumePath])
        }
        if let response { return response }
        if configuration.controllerCapabilities?.contains(1) == true {
            switch call.method {
            case "/csi.v1.Controller/CreateVolume": return createVolume(call)
            case "/csi.v1.Controller/DeleteVolume": return deleteVolume(call)
            default: break
            }
        }
        return Self.response(to: call, configuration, volumes)
    }

    /// Idempotent by name, which is also in the id. A CreateVolumeResponse: volume=1 { capacity_bytes=1, volume_id=2 }.
    private func createVolume(_ call: SimulatedCall) -> SimulatedResponse {
        guard !call.name.isEmpty else { return .fail(.invalidArgument, "Name missing in request") }
        let volume = SimulatedVolume(id: "id-of-\(call.name)")
        state.withLock { state in state.volumes.change(volume.id) { _ in } }
        return .volume(volume)
    }

    private func deleteVolume(_ call: SimulatedCall) -> SimulatedResponse {
        guard !call.volumeID.isEmpty else { return .fail(.invalidArgument, "Volume ID missing in request") }
        state.withLock { $0.volumes.remove(call.volumeID) }
        return .reply([])
    }

    private func respond(to method: String, _ request: [UInt8]) async -> Result<[UInt8], GRPCError> {
        let call = SimulatedCall(method: method, request: request)
        journal.append(call)
        let (interceptor, configuration) = state.withLock { ($0.interceptor, $0.configuration) }
        // Both return early when the call is cancelled.
        if configuration.latency > .zero { try? await ContinuousClock().sleep(for: configuration.latency) }
        if let array = configuration.array, call.isAboutVolumes { await array.serve() }
        switch await interceptor?(call) ?? regularResponse(to: call) {
        case .reply(let bytes): return .success(bytes)
        case .fail(let code, let message): return .failure(GRPCError(code: code, message: message))
        case .never:
            // The task is cancelled when the call ends.
            await untilCancelled()
            return .failure(GRPCError(code: .cancelled, message: "no response"))
        }
    }
}
