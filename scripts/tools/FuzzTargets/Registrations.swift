// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubeletPlugins
import KubernetesAPI
import SwiftProtobuf

/// The input: the response of a registration socket to GetInfo, a PluginInfo.
///
/// A driver is used only with a valid name and a socket that can be connected to. Whatever the plugin is called, a
/// message for the log is bounded.
enum Registrations {
    private static let directories = KubeletDirectories(root: "/var/lib/kubelet/")
    private static let socket = "/var/lib/kubelet/plugins_registry/driver-reg.sock"

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        let bytes = input.rest()
        let info = try? PluginInfo(serializedBytes: bytes)
        switch RegistrationReply(bytes, socket: socket, directories: directories) {
        case .plugin(let plugin, let isMounted):
            try require(info?.type == "CSIPlugin", "a plugin of type \(info?.type ?? "") is a driver")
            try require(info?.name == plugin.name, "the driver \(info?.name ?? "") is called \(plugin.name)")
            try check(plugin, isMounted: isMounted)
            try require(
                plugin.endpoint == (info?.endpoint.isEmpty == false ? info?.endpoint : socket),
                "the socket of \(plugin.name) is \(plugin.endpoint)"
            )
        case .otherType: try require(info.map { $0.type != "CSIPlugin" } ?? false, "a driver is of another type")
        case .rejected(let reason):
            try require(info?.type == "CSIPlugin", "a plugin of type \(info?.type ?? "") is rejected")
            try require(reason.utf8.count < 2000, "a reason of \(reason.utf8.count) bytes")
        case .failed(let reason):
            try require(info == nil, "a PluginInfo cannot be read: \(reason)")
            try require(reason.utf8.count < 2000, "a reason of \(reason.utf8.count) bytes")
        }
    }

    private static func check(_ plugin: RegisteredPlugin, isMounted: Bool) throws(InvariantViolation) {
        let name = plugin.name.utf8
        try require(
            (1...63).contains(name.count) && !plugin.name.contains("..")
                && name.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
                && [name.first, name.last].allSatisfy { $0.map(isAlphanumeric) ?? false },
            "a driver is called \(plugin.name)"
        )
        // sockaddr_un of unix(7) has 108 bytes with the terminating zero.
        try require(
            plugin.endpoint.hasPrefix("/") && plugin.endpoint.utf8.count <= 107,
            "a socket cannot be connected to: \(plugin.endpoint)"
        )
        let components = plugin.endpoint.split(separator: "/")
        try require(!components.contains(".."), "a socket is outside its directory: \(plugin.endpoint)")
        let isBelow = ["plugins", "plugins_registry"].contains { directory in
            components.count > 4 && components.prefix(4).elementsEqual(["var", "lib", "kubelet", Substring(directory)])
        }
        // "//" is one slash for the kernel, but not in a prefix.
        try require(!isMounted || isBelow, "a socket elsewhere counts as mounted: \(plugin.endpoint)")
        try require(
            plugin.versions.count <= 16 && plugin.versions.allSatisfy { $0.utf8.count <= 64 },
            "\(plugin.versions.count) versions: \(plugin.versions)"
        )
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        Unicode.Scalar(byte).properties.isASCIIHexDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
}
