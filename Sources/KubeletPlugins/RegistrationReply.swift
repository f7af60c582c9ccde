// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import SwiftProtobuf

/// What a registration socket's response to GetInfo means.
package enum RegistrationReply: Sendable, Hashable {
    /// A CSI driver. `isMounted` is false where its socket is outside the kubelet's directories for plugins.
    case plugin(RegisteredPlugin, isMounted: Bool)
    /// A plugin of another type, which is for other programs: a DevicePlugin or a DRAPlugin.
    case otherType
    /// A CSI driver that the kubelet cannot use either, and why.
    case rejected(String)
    /// No usable response, and why. It may have one later.
    case failed(String)
}

extension RegistrationReply {
    private static let maximumVersions = 16
    private static let maximumVersionBytes = 64
    /// Of `sun_path` in unix(7), without its terminating zero.
    private static let maximumPathBytes = 107

    /// Reads a PluginInfo.
    ///
    /// Source: Kubernetes, pkg/kubelet/pluginmanager/operationexecutor/operation_generator.go (an empty endpoint is the
    /// registration socket) and pkg/volume/csi/csi_plugin.go.
    ///
    /// - Parameter socket: the path of the registration socket.
    package init(_ bytes: [UInt8], socket: String, directories: KubeletDirectories) {
        let info: PluginInfo
        do {
            info = try PluginInfo(serializedBytes: bytes)
        } catch {
            self = .failed("the response of \(bytes.count) bytes is not a PluginInfo: \(error)")
            return
        }
        guard info.type == "CSIPlugin" else {
            self = .otherType
            return
        }
        guard Self.isDriverName(info.name) else {
            self = .rejected("\"\(Self.excerpt(info.name, 64))\" is not a valid name of a CSI driver")
            return
        }
        let endpoint = info.endpoint.isEmpty ? socket : info.endpoint
        guard endpoint.hasPrefix("/"), !endpoint.split(separator: "/").contains("..") else {
            self = .rejected("the endpoint \"\(Self.excerpt(endpoint, 256))\" of \(info.name) is not an absolute path")
            return
        }
        guard endpoint.utf8.count <= Self.maximumPathBytes else {
            self = .rejected(
                "the endpoint of \(info.name) has \(endpoint.utf8.count) bytes, a socket's path at most \(Self.maximumPathBytes)"
            )
            return
        }
        let versions = info.supportedVersions.filter { $0.utf8.count <= Self.maximumVersionBytes }
        let plugin = RegisteredPlugin(
            name: info.name,
            endpoint: endpoint,
            versions: Array(versions.prefix(Self.maximumVersions))
        )
        self = .plugin(plugin, isMounted: directories.contains(endpoint))
    }

    /// The beginning of a plugin's text. In Unicode scalars, because a character has any number of them.
    private static func excerpt(_ text: String, _ scalars: Int) -> String {
        String(text.unicodeScalars.prefix(scalars))
    }

    /// Whether the name is a DNS subdomain, in which upper case is allowed, of at most 63 bytes.
    ///
    /// Source: CSI specification, GetPluginInfoResponse; Kubernetes, ValidateCSIDriverName in
    /// pkg/apis/core/validation/validation.go.
    static func isDriverName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= 63 else { return false }
        return name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.first, let last = label.last else { return false }
            return first.isAlphanumeric && last.isAlphanumeric
                && label.allSatisfy { $0.isAlphanumeric || $0 == UInt8(ascii: "-") }
        }
    }
}

extension UInt8 {
    /// Of ASCII.
    fileprivate var isAlphanumeric: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}
