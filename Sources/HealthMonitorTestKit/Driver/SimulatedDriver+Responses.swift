// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension SimulatedDriver {
    /// Field numbers: container-storage-interface/spec, csi.proto.
    static func response(
        to call: SimulatedCall,
        _ configuration: Configuration,
        _ volumes: VolumeTable
    ) -> SimulatedResponse {
        if call.method.hasPrefix("/csi.v1.Node/") { return nodeResponse(to: call, configuration, volumes) }
        let isController = call.method.hasPrefix("/csi.v1.Controller/")
        guard !isController || configuration.controllerCapabilities != nil else { return unimplemented(call) }
        switch call.method {
        case "/csi.v1.Identity/GetPluginInfo":
            var response = WireWriter()
            response.bytes(configuration.name.utf8, field: 1)
            response.bytes(configuration.vendorVersion.utf8, field: 2)
            return .reply(response.bytes)
        case "/csi.v1.Identity/GetPluginCapabilities":
            return .reply(configuration.controllerCapabilities == nil ? [] : capabilities([1]))
        case "/csi.v1.Identity/Probe":
            // ready: BoolValue { value: true }
            return .reply([0x0A, 2, 0x08, 1])
        case "/csi.v1.Controller/ControllerGetCapabilities":
            return .reply(capabilities(configuration.controllerCapabilities ?? []))
        case "/csi.v1.Controller/ListVolumes":
            return list(volumes.all, call, configuration) { $0.encoded }
        case "/csi.v1.Controller/ControllerGetVolume", "/csi.v1.Controller/ControllerGetVolumeHealth":
            guard !call.volumeID.isEmpty else { return .fail(.invalidArgument, "Volume ID not provided") }
            guard call.method.hasSuffix("Volume") else {
                return volumes[call.volumeID].map { .volumeHealth($0) } ?? .fail(.notFound, unknown(call))
            }
            if let volume = volumes[call.volumeID] { return .volume(volume) }
            guard configuration.reportsUnknownVolumesAbnormal else { return .fail(.notFound, unknown(call)) }
            let text = "rpc error: code = NotFound desc = \(unknown(call))"
            return .volume(SimulatedVolume(id: call.volumeID, capacity: 0, condition: .abnormal(text)))
        case "/csi.v1.Controller/ControllerListVolumeHealth":
            return list(volumes.all, call, configuration) { volume in
                configuration.listsHealthyVolumes || !volume.currentHealth.isEmpty ? volume.encodedHealth : nil
            }
        default:
            return unimplemented(call)
        }
    }

    /// PluginCapability, ControllerServiceCapability and NodeServiceCapability have the same fields:
    /// capabilities=1 { service or rpc=1 { type=1 } }
    static func capabilities(_ numbers: [Int]) -> [UInt8] {
        var response = WireWriter()
        for number in numbers {
            var type = WireWriter()
            type.varint(UInt64(number), field: 1)
            var capability = WireWriter()
            capability.bytes(type.bytes, field: 1)
            response.bytes(capability.bytes, field: 1)
        }
        return response.bytes
    }

    /// A page of the volumes for which `entry` is not nil. A token is the position of the next volume.
    private static func list(
        _ volumes: [SimulatedVolume],
        _ call: SimulatedCall,
        _ configuration: Configuration,
        entry: (SimulatedVolume) -> [UInt8]?
    ) -> SimulatedResponse {
        let start = call.startingToken.isEmpty ? 0 : Int(call.startingToken) ?? -1
        guard start >= 0, start <= volumes.count else {
            return .fail(.aborted, "starting_token \(call.startingToken) is not valid")
        }
        let limit = call.maxEntries > 0 ? call.maxEntries : configuration.pageSize
        var entries: [[UInt8]] = []
        for position in start..<volumes.count {
            guard let entry = entry(volumes[position]) else { continue }
            if limit > 0, entries.count == limit { return .page(entries, nextToken: "\(position)") }
            entries.append(entry)
        }
        return .page(entries, nextToken: "")
    }

    static func unknown(_ call: SimulatedCall) -> String {
        "volume id \(call.volumeID) does not exist in the volumes list"
    }

    static func unimplemented(_ call: SimulatedCall) -> SimulatedResponse {
        .fail(.unimplemented, "unknown method \(call.method)")
    }
}
