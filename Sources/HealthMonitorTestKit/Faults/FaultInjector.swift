// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Synchronization

/// Brings faults about and ends them, each by its name, several at a time.
///
/// It takes the interceptors of the server and of the drivers for itself. For one task to use.
package final class FaultInjector: Sendable {
    private struct State {
        var active: [Fault] = []
        var calls = 0
        var cutPosition = 0
        var backup: SimulatedAPIServer.Backup?
        var refusedUsers: [String: APIUser] = [:]
        /// Which volume is the next to have a fault.
        var nextVolume = 0
        /// The volumes whose claims were deleted.
        var deleted: [VolumeFixture] = []
        /// The volumes whose claimRef names another claim.
        var redirected: [VolumeFixture] = []
        /// Users between whom and the server nothing passes.
        var partitioned: Set<String> = []
    }

    private let server: SimulatedAPIServer
    private let drivers: [SimulatedDriver]
    private let volumes: [VolumeFixture]
    private let tokenFiles: [String]
    private let state = Mutex(State())

    /// An injector without an active fault.
    ///
    /// - Parameters:
    ///   - drivers: all have the same fault at the same time.
    ///   - volumes: those that faults of the cluster are about, one after the other.
    ///   - tokenFiles: where the clients' bearer tokens are; without one, none can be rotated.
    package init(
        server: SimulatedAPIServer,
        drivers: [SimulatedDriver],
        volumes: [VolumeFixture],
        tokenFiles: [String] = []
    ) {
        self.server = server
        self.drivers = drivers
        self.volumes = volumes
        self.tokenFiles = tokenFiles
        server.intercept { [weak self] request in self?.interception(of: request) }
        for driver in drivers {
            driver.intercept { [weak self, weak driver] call in
                guard let self, let driver else { return nil }
                return self.answer(to: call, of: driver)
            }
        }
    }

    /// The faults that have begun and not ended, in the order of their beginning.
    package var active: [Fault] { state.withLock { $0.active } }

    /// Brings a fault about; one that is active already stays so.
    ///
    /// - Throws: when it cannot be brought about here: no token file, a port that is taken.
    package func begin(_ fault: Fault) async throws {
        guard !active.contains(fault) else { return }
        state.withLock { $0.active.append(fault) }
        do {
            switch fault {
            case .driver(let fault): await begin(fault)
            case .apiServer(let fault): try await begin(fault)
            case .cluster(let fault): try begin(fault)
            }
        } catch {
            state.withLock { $0.active.removeAll { $0 == fault } }
            throw error
        }
    }

    /// Ends a fault; one that is not active stays so.
    package func end(_ fault: Fault) async throws {
        guard active.contains(fault) else { return }
        state.withLock { $0.active.removeAll { $0 == fault } }
        switch fault {
        case .driver(let fault): try await end(fault)
        case .apiServer(let fault): try await end(fault)
        case .cluster(let fault): try end(fault)
        }
    }

    /// Ends all faults, the latest first.
    package func endAll() async throws {
        for fault in active.reversed() { try await end(fault) }
    }

    /// Nothing passes between a user and the API server any more; connections stay open.
    package func partition(user: String) {
        state.withLock { _ = $0.partitioned.insert(user) }
        for watch in server.watches where watch.request.user == user { watch.end() }
    }

    /// Ends all partitions.
    package func endPartitions() async {
        state.withLock { $0.partitioned = [] }
        await server.cutConnections()
    }

    private func interception(of request: APIRequest) -> Interception? {
        if let user = request.user, state.withLock({ $0.partitioned.contains(user) }) { return .hold }
        for case .apiServer(let fault) in active {
            if let interception = fault.interception(of: request) { return interception }
        }
        return nil
    }

    private func answer(to call: SimulatedCall, of driver: SimulatedDriver) -> SimulatedResponse? {
        let (active, number) = state.withLock { state in
            state.calls += 1
            return (state.active, state.calls)
        }
        for case .driver(let fault) in active {
            if let answer = fault.answer(to: call, number: number, regular: { driver.regularResponse(to: call) }) {
                return answer
            }
        }
        return nil
    }
}

// MARK: - Driver

extension FaultInjector {
    private func begin(_ fault: DriverFault) async {
        switch fault {
        case .killedInPage:
            await withTaskGroup { group in
                for driver in drivers {
                    group.addTask {
                        _ = await driver.journal.next { call in
                            call.reportsHealth && !(call.isList && call.startingToken.isEmpty)
                        }
                    }
                }
                // Where nobody asks it dies of itself.
                group.addTask { try? await ContinuousClock().sleep(for: .seconds(5)) }
                await group.next()
                group.cancelAll()
            }
            for driver in drivers { await driver.stop() }
        case .otherGeneration:
            for driver in drivers { try? await driver.restart { $0.changeGeneration() } }
        case .socketRemoved:
            for driver in drivers { try? FileManager.default.removeItem(atPath: driver.socket) }
        default: break
        }
    }

    private func end(_ fault: DriverFault) async throws {
        switch fault {
        case .killedInPage:
            for driver in drivers { try driver.start() }
        case .otherGeneration:
            for driver in drivers { try await driver.restart { $0.changeGeneration() } }
        case .socketRemoved:
            for driver in drivers { try await driver.restart { _ in } }
        default: break
        }
    }
}

extension SimulatedDriver {
    fileprivate func restart(_ change: (inout Configuration) -> Void) async throws {
        await stop()
        change(&configuration)
        try start()
    }
}

extension SimulatedDriver.Configuration {
    fileprivate mutating func changeGeneration() {
        let isHealth = controllerCapabilities == Self.healthCapabilities
        controllerCapabilities = isHealth ? Self.legacy.controllerCapabilities : Self.healthCapabilities
    }
}

// MARK: - API server

extension FaultInjector {
    private func begin(_ fault: APIServerFault) async throws {
        switch fault {
        case .connectionRefused: await server.stopListening()
        case .tlsHandshakeFailure: await server.breakHandshakes(true)
        case .certificateExpired: try await server.replaceCertificate(isExpired: true)
        case .tokenRotated: try refuseTokens()
        case .expiredInWatch:
            server.compact()
            for watch in server.watches { watch.fail(.tooOld(requested: 1, oldest: 2)) }
        case .connectionReset: await server.cutConnections()
        case .frameCut:
            let position = state.withLock { state in
                state.cutPosition += 1
                return state.cutPosition
            }
            for watch in server.watches { watch.cut(afterBytes: position) }
        case .expiredWatch:
            for watch in server.watches { watch.end() }
        case .silentWatches:
            // A silent list is noticed after a minute, a watch that goes on from a version only after some.
            server.compact()
            for watch in server.watches { watch.fail(.tooOld(requested: 1, oldest: 2)) }
        case .shutdown:
            // With --shutdown-watch-termination-grace-period they end in good order: `ServerShuttingDownCh` in
            // k8s.io/apiserver, pkg/endpoints/handlers/watch.go.
            for watch in server.watches { watch.end() }
        case .noBookmarks: server.sendsBookmarks = false
        case .restoredFromBackup: state.withLock { $0.backup = server.backup() }
        case .statusFieldDropped: server.featureGates.remove(.csiVolumeHealth)
        default: break
        }
    }

    private func end(_ fault: APIServerFault) async throws {
        switch fault {
        case .connectionRefused: try await server.listenAgain()
        case .shutdown:
            // When the requests under way have ended the server closes its socket: `RunWithContext` in
            // k8s.io/apiserver, pkg/server/genericapiserver.go.
            await server.stopListening()
            try? await ContinuousClock().sleep(for: .seconds(1))
            try await server.listenAgain()
        case .tlsHandshakeFailure: await server.breakHandshakes(false)
        case .certificateExpired: try await server.replaceCertificate(isExpired: false)
        case .tokenRotated: try replaceTokens()
        // What hangs would go on hanging until the client gives up.
        case .noResponses, .lateResponses: await server.cutConnections()
        case .noBookmarks: server.sendsBookmarks = true
        case .restoredFromBackup:
            if let backup = state.withLock({ $0.backup }) { server.restore(backup) }
        case .statusFieldDropped: server.featureGates.insert(.csiVolumeHealth)
        default: break
        }
    }

    /// Why a fault cannot be brought about.
    package struct Impossible: Error, CustomStringConvertible {
        /// What is missing.
        package var description: String
    }

    private func refuseTokens() throws {
        guard !tokenFiles.isEmpty else { throw Impossible(description: "there is no token file to rotate") }
        for path in tokenFiles {
            let token = try String(contentsOfFile: path, encoding: .utf8)
            let user = server.users.removeValue(forKey: token)
            state.withLock { $0.refusedUsers[path] = user }
        }
    }

    private func replaceTokens() throws {
        for path in tokenFiles {
            let token = "rotated-\(UUID().uuidString)"
            server.users[token] = state.withLock { $0.refusedUsers.removeValue(forKey: path) }
            // As the kubelet does it: never half a token.
            try Data(token.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        }
    }
}

// MARK: - Cluster

extension FaultInjector {
    private func nextVolume() throws -> VolumeFixture {
        guard !volumes.isEmpty else { throw Impossible(description: "there is no volume to change") }
        return state.withLock { state in
            defer { state.nextVolume += 1 }
            return volumes[state.nextVolume % volumes.count]
        }
    }

    private func begin(_ fault: ClusterFault) throws {
        switch fault {
        case .claimDeleted:
            let volume = try nextVolume()
            try server.delete(kind: "PersistentVolumeClaim", namespace: volume.namespace, name: volume.claimName)
            try server.patch(
                kind: "PersistentVolume",
                name: volume.volumeName,
                ["status": ["phase": "Released"]]
            )
            state.withLock { $0.deleted.append(volume) }
        case .claimRecreated:
            let volume = try nextVolume()
            try volume.delete(in: server)
            try volume.create(in: server)
        case .claimReferenceChanged:
            let volume = try nextVolume()
            try volume.setClaimReference(uid: "00000000-0000-0000-0000-000000000000", in: server)
            state.withLock { $0.redirected.append(volume) }
        case .changedBetweenWatches:
            for watch in server.watches { watch.cut() }
            for round in 0..<max(1, 10_000 / max(2 * volumes.count, 1)) {
                for volume in volumes { try volume.annotate("\(round)", in: server) }
            }
            server.compact()
        case .clockSetBack: server.clockOffset -= 3600
        case .clockSetForward: server.clockOffset += 3600
        }
    }

    private func end(_ fault: ClusterFault) throws {
        switch fault {
        case .claimDeleted:
            for volume in state.withLock({ state in
                defer { state.deleted = [] }
                return state.deleted
            }) {
                try server.delete(kind: "PersistentVolume", name: volume.volumeName)
                try volume.create(in: server)
            }
        case .claimReferenceChanged:
            for volume in state.withLock({ state in
                defer { state.redirected = [] }
                return state.redirected
            }) {
                let claim = try server.object(
                    kind: "PersistentVolumeClaim",
                    namespace: volume.namespace,
                    name: volume.claimName
                )
                try volume.setClaimReference(uid: claim?["metadata", "uid"]?.string ?? "", in: server)
            }
        case .clockSetBack: server.clockOffset += 3600
        case .clockSetForward: server.clockOffset -= 3600
        case .claimRecreated, .changedBetweenWatches: break
        }
    }
}

extension VolumeFixture {
    fileprivate func setClaimReference(uid: String, in server: SimulatedAPIServer) throws {
        try server.patch(kind: "PersistentVolume", name: volumeName, ["spec": ["claimRef": ["uid": .string(uid)]]])
    }

    fileprivate func annotate(_ text: String, in server: SimulatedAPIServer) throws {
        let patch: JSONValue = ["metadata": ["annotations": ["round": .string(text)]]]
        try server.patch(kind: "PersistentVolume", name: volumeName, patch)
        try server.patch(kind: "PersistentVolumeClaim", namespace: namespace, name: claimName, patch)
    }
}
