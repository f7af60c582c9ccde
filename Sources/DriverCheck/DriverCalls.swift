// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import GRPCTransport
import SwiftProtobuf

/// Makes calls and records them. `CSIClient` is not used: it hides deviations.
struct DriverCalls: Sendable {
    private let channel: GRPCChannel
    private let timeout: Duration

    init(channel: GRPCChannel, timeout: Duration) {
        self.channel = channel
        self.timeout = timeout
    }

    // MARK: Identity and capabilities

    /// The reply is whether the driver is ready.
    func probe() async -> Exchange<Bool> {
        await call(CSIMethodName.probe, CSIProbeRequest(), "") { (response: CSIProbeResponse) in
            !response.hasReady || response.ready.value
        }
    }

    func pluginInfo() async -> Exchange<PluginInfo> {
        await call(CSIMethodName.getPluginInfo, CSIGetPluginInfoRequest(), "") { (info: CSIGetPluginInfoResponse) in
            PluginInfo(name: info.name, vendorVersion: info.vendorVersion)
        }
    }

    /// The reply is whether the driver has a controller service.
    func hasControllerService() async -> Exchange<Bool> {
        await call(CSIMethodName.getPluginCapabilities, CSIGetPluginCapabilitiesRequest(), "") {
            (response: CSIGetPluginCapabilitiesResponse) in
            response.capabilities.contains { $0.service.type == .controllerService }
        }
    }

    func controllerCapabilities() async -> Exchange<[Int]> {
        await call(CSIMethodName.controllerGetCapabilities, CSIControllerGetCapabilitiesRequest(), "") {
            (response: CSIControllerGetCapabilitiesResponse) in
            response.capabilities.map(\.rpc.type.rawValue)
        }
    }

    func nodeCapabilities() async -> Exchange<[Int]> {
        await call(CSIMethodName.nodeGetCapabilities, CSINodeGetCapabilitiesRequest(), "") {
            (response: CSINodeGetCapabilitiesResponse) in
            response.capabilities.map(\.rpc.type.rawValue)
        }
    }

    // MARK: The controller service

    func list(_ generation: Generation, maxEntries: Int32, startingToken: String) async -> Exchange<ListPage> {
        let shown = "max_entries=\(maxEntries) starting_token=\(excerpt(startingToken))"
        switch generation {
        case .legacy:
            var request = CSIListVolumesRequest()
            request.maxEntries = maxEntries
            request.startingToken = startingToken
            return await call(CSIMethodName.listVolumes, request, shown, summary: Self.summary) {
                (response: CSIListVolumesResponse) in
                ListPage(
                    volumes: response.entries.map { VolumeReply(id: $0.volume.volumeID, health: $0.status.health) },
                    nextToken: response.nextToken
                )
            }
        case .health:
            var request = CSIControllerListVolumeHealthRequest()
            request.maxEntries = maxEntries
            request.startingToken = startingToken
            return await call(CSIMethodName.controllerListVolumeHealth, request, shown, summary: Self.summary) {
                (response: CSIControllerListVolumeHealthResponse) in
                ListPage(volumes: response.entries.map(VolumeReply.init), nextToken: response.nextToken)
            }
        }
    }

    func get(_ generation: Generation, id: String) async -> Exchange<GetReply> {
        let shown = "volume_id=\(excerpt(id))"
        switch generation {
        case .legacy:
            var request = CSIControllerGetVolumeRequest()
            request.volumeID = id
            return await call(CSIMethodName.controllerGetVolume, request, shown) {
                (response: CSIControllerGetVolumeResponse) in
                GetReply(
                    hasVolume: response.hasVolume,
                    volume: VolumeReply(id: response.volume.volumeID, health: response.status.health)
                )
            }
        case .health:
            var request = CSIControllerGetVolumeHealthRequest()
            request.volumeID = id
            return await call(CSIMethodName.controllerGetVolumeHealth, request, shown) {
                (response: CSIControllerGetVolumeHealthResponse) in
                GetReply(response.hasVolumeHealth ? response.volumeHealth : nil)
            }
        }
    }

    /// The reply is the new volume's id. Only the names of the parameters are recorded: they may name accounts.
    func createVolume(name: String, parameters: [String: String]) async -> Exchange<String> {
        var capability = CSIVolumeCapability()
        capability.mount = CSIVolumeCapability.MountVolume()
        capability.accessMode.mode = .singleNodeWriter
        var request = CSICreateVolumeRequest()
        request.name = name
        request.capacityRange.requiredBytes = 1 << 30
        request.volumeCapabilities = [capability]
        request.parameters = parameters
        let shown =
            "name=\(excerpt(name)) required_bytes=1Gi access_mode=SINGLE_NODE_WRITER mount"
            + (parameters.isEmpty ? "" : " parameters=\(parameters.keys.sorted().joined(separator: ","))")
        return await call(CSIMethodName.createVolume, request, shown) { (response: CSICreateVolumeResponse) in
            response.volume.volumeID
        }
    }

    func deleteVolume(id: String) async -> Exchange<Bool> {
        var request = CSIDeleteVolumeRequest()
        request.volumeID = id
        return await call(CSIMethodName.deleteVolume, request, "volume_id=\(excerpt(id))") {
            (_: CSIDeleteVolumeResponse) in true
        }
    }

    // MARK: The node service

    func nodeGet(
        _ generation: Generation,
        id: String,
        publishPath: String,
        stagingPath: String
    ) async -> Exchange<GetReply> {
        switch generation {
        case .legacy:
            var request = CSINodeGetVolumeStatsRequest()
            request.volumeID = id
            request.volumePath = publishPath
            request.stagingTargetPath = stagingPath
            let shown = "volume_id=\(excerpt(id)) volume_path=\(excerpt(publishPath))"
            return await call(CSIMethodName.nodeGetVolumeStats, request, shown) {
                (response: CSINodeGetVolumeStatsResponse) in
                // The response has no id.
                let condition = response.hasVolumeCondition ? response.volumeCondition : nil
                return GetReply(volume: VolumeReply(id: id, health: condition.map(VolumeReply.Health.init)))
            }
        case .health:
            var request = CSINodeGetVolumeHealthRequest()
            request.volumeID = id
            request.volumePublishPath = publishPath
            request.stagingTargetPath = stagingPath
            let shown =
                "volume_id=\(excerpt(id)) volume_publish_path=\(excerpt(publishPath)) "
                + "staging_target_path=\(excerpt(stagingPath))"
            return await call(CSIMethodName.nodeGetVolumeHealth, request, shown) {
                (response: CSINodeGetVolumeHealthResponse) in
                GetReply(response.hasVolumeHealth ? response.volumeHealth : nil)
            }
        }
    }

    func storageHealth() async -> Exchange<[HealthEntry]> {
        await call(CSIMethodName.nodeGetStorageHealth, CSINodeGetStorageHealthRequest(), "") {
            (response: CSINodeGetStorageHealthResponse) in
            response.backendHealth.map { entry in
                HealthEntry(
                    status: entry.status.rawValue,
                    reason: entry.reason,
                    message: entry.message,
                    otherFields: [UInt8](entry.unknownFields.data)
                )
            }
        }
    }

    // MARK: Calls

    private static func summary(_ page: ListPage) -> String {
        "OK, \(page.volumes.count) entries, next_token \(excerpt(page.nextToken))"
    }

    private func call<Response: Message, Reply>(
        _ method: String,
        _ request: some Message,
        _ shown: String,
        summary: ((Reply) -> String)? = nil,
        _ reply: (Response) -> Reply
    ) async -> Exchange<Reply> {
        let name = String(method.split(separator: "/").last ?? "")
        let start = ContinuousClock.now
        func exchange(_ outcome: Exchange<Reply>.Outcome, _ received: String) -> Exchange<Reply> {
            Exchange(
                method: name,
                request: shown,
                outcome: outcome,
                received: received,
                duration: ContinuousClock.now - start
            )
        }
        do throws(GRPCError) {
            let bytes = try await channel.unary(method, request: encoded(request), timeout: timeout)
            guard let response = try? Response(serializedBytes: bytes) else {
                let text = "\(bytes.count) bytes that are not a \(Response.protoMessageName)"
                return exchange(.undecodable(text), text)
            }
            let value = reply(response)
            let text = summary?(value) ?? "OK, " + ((try? response.jsonString()) ?? "\(bytes.count) bytes")
            return exchange(.reply(value), singleLine(text))
        } catch {
            return exchange(.failed(error.status), singleLine("\(error.status.code): \(error.status.message)"))
        }
    }

    /// Only messages with text that is not UTF-8 cannot be encoded, and a `String` is UTF-8.
    private func encoded(_ request: some Message) -> [UInt8] {
        (try? request.serializedBytes()) ?? []
    }
}

// MARK: Replies

extension VolumeReply.Health {
    fileprivate init(_ condition: CSIVolumeCondition) {
        self = .condition(isAbnormal: condition.abnormal, message: condition.message)
    }
}

extension VolumeReply {
    fileprivate init(_ volume: CSIVolumeHealth) {
        let entries = volume.healthStatuses.map { entry in
            HealthEntry(status: entry.status.rawValue, reason: entry.reason, message: entry.message)
        }
        self.init(id: volume.volumeID, health: .statuses(entries))
    }
}

extension GetReply {
    fileprivate init(_ health: CSIVolumeHealth?) {
        self.init(hasVolume: health != nil, volume: health.map(VolumeReply.init) ?? VolumeReply(id: "", health: nil))
    }
}

extension CSIListVolumesResponse.VolumeStatus {
    fileprivate var health: VolumeReply.Health? { hasVolumeCondition ? .init(volumeCondition) : nil }
}

extension CSIControllerGetVolumeResponse.VolumeStatus {
    fileprivate var health: VolumeReply.Health? { hasVolumeCondition ? .init(volumeCondition) : nil }
}
