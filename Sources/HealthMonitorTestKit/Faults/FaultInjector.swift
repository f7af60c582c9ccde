// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Synchronization

/// Begins and ends faults, also several at a time.
///
/// It sets the interceptors of the server and of the drivers. For use by one task.
package final class FaultInjector: Sendable {
    private struct State {
        var active: [Fault] = []
        var calls = 0
        var cutPosition = 0
        var backup: SimulatedAPIServer.Backup?
        var refusedUsers: [String: APIUser] = [:]
        /// The index of the volume that the next fault applies to, modulo their number.
        var nextVolume = 0
        /// The volumes whose claims were deleted.
        var deleted: [VolumeFixture] = []
        /// The volumes whose claimRef has another uid.
        var redirected: [VolumeFixture] = []
        /// Users whose requests are not served.
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
    ///   - drivers: all have the same faults.
    ///   - volumes: faults of the cluster apply to them one after the other.
    ///   - tokenFiles: the files of the clients' bearer tokens; without one, the token cannot be rotated.
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
                return self.response(to: call, of: driver)
            }
        }
    }

    /// The active faults, the oldest first.
    package var active: [Fault] { state.withLock { $0.active } }

    /// Begins a fault; does nothing when it is active.
    ///
    /// - Throws: when it is impossible here: without a token file, or when the port is taken.
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

    /// Ends a fault; does nothing when it is not active.
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

    /// Partitions a user from the API server: requests are not served, and connections stay open.
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

    private func response(to call: SimulatedCall, of driver: SimulatedDriver) -> SimulatedResponse? {
        let (active, number) = state.withLock { state in
            state.calls += 1
            return (state.active, state.calls)
        }
        for case .driver(let fault) in active {
            if let response = fault.response(to: call, number: number, regular: { driver.regularResponse(to: call) }) {
                return response
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
                // Without such a call the driver dies after 5 seconds.
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
        guard let nodeCapabilities else { return }
        let isNodeHealth = nodeCapabilities == Self.healthNode.nodeCapabilities
        self.nodeCapabilities = isNodeHealth ? Self.legacyNode.nodeCapabilities : Self.healthNode.nodeCapabilities
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
        case .expiredInWatch: expireWatches()
        case .expiredList: beginPagedLists()
        case .expiredPageToken:
            for name in Self.otherVolumes {
                try server.create(["kind": "PersistentVolume", "metadata": ["name": .string(name)]])
            }
            beginPagedLists()
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
            // A client may give up a silent list after a minute, and a silent watch from a version after some minutes.
            expireWatches()
        case .shutdown:
            // With --shutdown-watch-termination-grace-period they end regularly. Source: `ServerShuttingDownCh` in
            // k8s.io/apiserver, pkg/endpoints/handlers/watch.go.
            for watch in server.watches { watch.end() }
        case .noBookmarks:
            server.sendsBookmarks = false
            // Of a resource without changes, the client has only the version of the list.
            server.compact()
            for watch in server.watches { watch.end() }
        case .restoredFromBackup: state.withLock { $0.backup = server.backup() }
        case .statusFieldDropped: server.featureGates.remove(.csiVolumeHealth)
        default: break
        }
    }

    private func end(_ fault: APIServerFault) async throws {
        switch fault {
        case .connectionRefused: try await server.listenAgain()
        case .shutdown:
            // The server closes its socket when the requests in flight have ended. Source: `RunWithContext` in
            // k8s.io/apiserver, pkg/server/genericapiserver.go.
            await server.stopListening()
            try? await ContinuousClock().sleep(for: .seconds(1))
            try await server.listenAgain()
        case .tlsHandshakeFailure: await server.breakHandshakes(false)
        case .certificateExpired: try await server.replaceCertificate(isExpired: false)
        case .tokenRotated: try replaceTokens()
        // Otherwise the held requests would hang until the client gives up.
        case .noResponses, .lateResponses: await server.cutConnections()
        case .expiredList: server.featureGates.insert(.watchList)
        case .expiredPageToken:
            server.featureGates.insert(.watchList)
            for name in Self.otherVolumes { try server.delete(kind: "PersistentVolume", name: name) }
        case .noBookmarks: server.sendsBookmarks = true
        case .restoredFromBackup:
            if let backup = state.withLock({ $0.backup }) { server.restore(backup) }
        case .statusFieldDropped: server.featureGates.insert(.csiVolumeHealth)
        default: break
        }
    }

    /// More than a page of PersistentVolumes, before those of the monitored driver in the order of a list.
    private static let otherVolumes = (0..<600).map { "other-\($0)" }

    private func expireWatches() {
        server.compact()
        for watch in server.watches { watch.fail(.tooOld(requested: 1, oldest: 2)) }
    }

    /// Makes clients list again, in pages. Otherwise they would go on watching, and a fault of lists would meet none.
    private func beginPagedLists() {
        server.featureGates.remove(.watchList)
        expireWatches()
    }

    /// A fault cannot begin because something is missing.
    package struct Impossible: Error, CustomStringConvertible {
        package var description: String
    }

    private func refuseTokens() throws {
        guard !tokenFiles.isEmpty else { throw Impossible(description: "no token file to rotate") }
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
            // Atomically, as the kubelet does it.
            try Data(token.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        }
    }
}

// MARK: - Cluster

extension FaultInjector {
    private func nextVolume() throws -> VolumeFixture {
        guard !volumes.isEmpty else { throw Impossible(description: "no volume to change") }
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
