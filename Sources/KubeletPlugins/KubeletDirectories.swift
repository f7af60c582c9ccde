// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The directories of a kubelet that contain sockets of plugins, as paths on the host.
package struct KubeletDirectories: Sendable, Hashable {
    /// `--root-dir` of the kubelet, without a slash at its end.
    package let root: String

    /// - Parameter root: an absolute path; the kubelet's default is `/var/lib/kubelet`.
    package init(root: String) {
        var root = root[...]
        while root.hasSuffix("/") { root.removeLast() }
        self.root = String(root)
    }

    /// The directory of the registration sockets. Source: Kubernetes, pkg/kubelet/config/defaults.go.
    package var pluginsRegistry: String { root + "/plugins_registry" }
    /// By convention, the directory of the CSI drivers' sockets, each in a directory of its own.
    package var plugins: String { root + "/plugins" }

    /// Whether the path is below one of the directories, however many slashes it has.
    func contains(_ path: String) -> Bool {
        let names = Self.names(path)
        return [plugins, pluginsRegistry].map(Self.names).contains { names.count > $0.count && names.starts(with: $0) }
    }

    private static func names(_ path: String) -> [Substring] { path.split(separator: "/").filter { $0 != "." } }
}
