// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A call that a ``SimulatedDriver`` received.
package struct SimulatedCall: Sendable {
    /// `/csi.v1.Controller/ListVolumes`
    package let method: String
    /// When it was received.
    package let time = ContinuousClock.now
    /// ListVolumes, ControllerListVolumeHealth: `max_entries`
    package private(set) var maxEntries = 0
    /// ListVolumes, ControllerListVolumeHealth: `starting_token`
    package private(set) var startingToken = ""
    /// ControllerGetVolume, ControllerGetVolumeHealth, NodeGetVolumeStats, NodeGetVolumeHealth, DeleteVolume:
    /// `volume_id`
    package private(set) var volumeID = ""
    /// CreateVolume: `name`
    package private(set) var name = ""
    /// ControllerListVolumeHealth, ControllerGetVolumeHealth: `secrets`
    package private(set) var secrets: [String: String] = [:]

    /// NodeGetVolumeStats: `volume_path`. NodeGetVolumeHealth: `volume_publish_path`
    package private(set) var volumePath = ""
    /// NodeGetVolumeStats, NodeGetVolumeHealth: `staging_target_path`
    package private(set) var stagingTargetPath = ""

    init(method: String, request: [UInt8]) {
        self.method = method
        var reader = WireReader(request[...])
        while let (number, content) = try? reader.next() {
            switch (method.split(separator: "/").last, number, content) {
            case ("ListVolumes", 1, .varint(let value)), ("ControllerListVolumeHealth", 1, .varint(let value)):
                maxEntries = Int(truncatingIfNeeded: value)
            case ("ListVolumes", 2, .bytes(let bytes)), ("ControllerListVolumeHealth", 2, .bytes(let bytes)):
                startingToken = String(decoding: bytes, as: UTF8.self)
            case ("ControllerGetVolume", 1, .bytes(let bytes)), ("ControllerGetVolumeHealth", 1, .bytes(let bytes)),
                ("NodeGetVolumeStats", 1, .bytes(let bytes)), ("NodeGetVolumeHealth", 1, .bytes(let bytes)),
                ("DeleteVolume", 1, .bytes(let bytes)):
                volumeID = String(decoding: bytes, as: UTF8.self)
            case ("CreateVolume", 1, .bytes(let bytes)): name = String(decoding: bytes, as: UTF8.self)
            case ("NodeGetVolumeStats", 2, .bytes(let bytes)), ("NodeGetVolumeHealth", 2, .bytes(let bytes)):
                volumePath = String(decoding: bytes, as: UTF8.self)
            case ("NodeGetVolumeStats", 3, .bytes(let bytes)), ("NodeGetVolumeHealth", 3, .bytes(let bytes)):
                stagingTargetPath = String(decoding: bytes, as: UTF8.self)
            case ("ControllerListVolumeHealth", 3, .bytes(let entry)),
                ("ControllerGetVolumeHealth", 2, .bytes(let entry)):
                let (key, value) = Self.mapEntry(entry)
                secrets[key] = value
            default: break
            }
        }
    }

    /// An entry of a `map<string, string>`: key=1, value=2.
    private static func mapEntry(_ bytes: ArraySlice<UInt8>) -> (key: String, value: String) {
        var entry = ["", ""]
        var reader = WireReader(bytes)
        while let (number, content) = try? reader.next() {
            if case .bytes(let bytes) = content, (1...2).contains(number) {
                entry[number - 1] = String(decoding: bytes, as: UTF8.self)
            }
        }
        return (entry[0], entry[1])
    }

    /// Whether the call is of the controller or the node service.
    var isOfService: Bool {
        method.hasPrefix("/csi.v1.Controller/") || method.hasPrefix("/csi.v1.Node/")
    }

    /// Whether the call reaches the storage: all calls of the controller and the node service but those for
    /// capabilities.
    var isAboutVolumes: Bool {
        isOfService && !isCall(of: "ControllerGetCapabilities") && !isCall(of: "NodeGetCapabilities")
    }

    fileprivate func isCall(of shortName: String) -> Bool {
        method.hasSuffix("/" + shortName)
    }
}

extension Journal<SimulatedCall> {
    /// The calls of one method so far, by its short name: `ListVolumes`.
    package func calls(_ method: String) -> [SimulatedCall] {
        records.filter { $0.isCall(of: method) }
    }

    /// Returns when a method, by its short name, has had `count` calls, or on cancellation.
    package func wait(for method: String, count: Int) async {
        var missing = count
        guard missing > 0 else { return }
        for await call in self where call.isCall(of: method) {
            missing -= 1
            if missing == 0 { return }
        }
    }
}
