// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension SimulatedDriver {
    /// Numbers: container-storage-interface/spec, csi.proto.
    static func answer(
        _ call: SimulatedCall,
        _ configuration: Configuration,
        _ volumes: [SimulatedVolume]
    ) -> Result<[UInt8], GRPCError> {
        let isController = call.method.hasPrefix("/csi.v1.Controller/")
        guard !isController || configuration.controllerCapabilities != nil else { return unimplemented(call) }
        switch call.method {
        case "/csi.v1.Identity/GetPluginInfo":
            var response = WireWriter()
            response.bytes(configuration.name.utf8, field: 1)
            response.bytes(configuration.vendorVersion.utf8, field: 2)
            return .success(response.bytes)
        case "/csi.v1.Identity/GetPluginCapabilities":
            return .success(configuration.controllerCapabilities == nil ? [] : capabilities([1]))
        case "/csi.v1.Identity/Probe":
            // ready: BoolValue { value: true }
            return .success([0x0A, 2, 0x08, 1])
        case "/csi.v1.Controller/ControllerGetCapabilities":
            return .success(capabilities(configuration.controllerCapabilities ?? []))
        case "/csi.v1.Controller/ListVolumes":
            return list(volumes, call, configuration) { $0.encoded }
        case "/csi.v1.Controller/ControllerGetVolume":
            guard let volume = volumes.first(where: { $0.id == call.volumeID }) else {
                return .failure(GRPCError(code: .notFound, message: "volume id \(call.volumeID) does not exist"))
            }
            return .success(volume.encoded)
        case "/csi.v1.Controller/ControllerListVolumeHealth":
            let listed = configuration.listsHealthyVolumes ? volumes : volumes.filter { !$0.currentHealth.isEmpty }
            return list(listed, call, configuration) { $0.encodedHealth }
        case "/csi.v1.Controller/ControllerGetVolumeHealth":
            guard let volume = volumes.first(where: { $0.id == call.volumeID }) else {
                return .failure(GRPCError(code: .notFound, message: "volume id \(call.volumeID) does not exist"))
            }
            var response = WireWriter()
            response.bytes(volume.encodedHealth, field: 1)
            return .success(response.bytes)
        default:
            return unimplemented(call)
        }
    }

    /// PluginCapability and ControllerServiceCapability have one shape: capabilities=1 { service or rpc=1 { type=1 } }
    private static func capabilities(_ numbers: [Int]) -> [UInt8] {
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

    /// Both lists have one shape: entries=1, next_token=2.
    private static func list(
        _ volumes: [SimulatedVolume],
        _ call: SimulatedCall,
        _ configuration: Configuration,
        encode: (SimulatedVolume) -> [UInt8]
    ) -> Result<[UInt8], GRPCError> {
        let start = call.startingToken.isEmpty ? 0 : Int(call.startingToken) ?? -1
        guard start >= 0, start <= volumes.count else {
            return .failure(GRPCError(code: .aborted, message: "starting_token \(call.startingToken) is not valid"))
        }
        let limit = call.maxEntries > 0 ? call.maxEntries : configuration.pageSize
        let end = limit > 0 ? min(start + limit, volumes.count) : volumes.count
        var response = WireWriter()
        for volume in volumes[start..<end] {
            response.bytes(encode(volume), field: 1)
        }
        if end < volumes.count {
            response.bytes("\(end)".utf8, field: 2)
        }
        return .success(response.bytes)
    }

    private static func unimplemented(_ call: SimulatedCall) -> Result<[UInt8], GRPCError> {
        .failure(GRPCError(code: .unimplemented, message: "unknown method \(call.method)"))
    }
}
