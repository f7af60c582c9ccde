// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Logging

extension PluginDiscovery {
    /// A directory that cannot be read, and what to do.
    func explanation(of failure: RegistrationScan.Failure) -> String {
        let registry = configuration.directories.pluginsRegistry
        return """
            cannot read \(failure.directory): \(failure.reason): mount the host's \(registry) at the same path (hostPath, \
            read-only), run as uid 0, and check --kubelet-root-path
            """
    }

    func log(_ notices: [RegistrationTable.Notice]) {
        for notice in notices { log(notice) }
    }

    private func log(_ notice: RegistrationTable.Notice) {
        switch notice {
        case .failed(let socket, let reason):
            logger.warning(
                "Failed to read plugin registration, retrying",
                metadata: ["socket": "\(socket)", "err": "\(reason)"]
            )
        case .rejected(let socket, let reason):
            logger.warning("Ignored plugin registration", metadata: ["socket": "\(socket)", "reason": "\(reason)"])
        case .notMounted(let plugin):
            let directory = plugin.endpoint.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
            logger.warning(
                "Found the socket of a CSI driver outside the mounted directories",
                metadata: [
                    "driver": "\(plugin.name)", "endpoint": "\(plugin.endpoint)",
                    "hint": "mount the host's \(directory) at the same path (hostPath, read-only)",
                ]
            )
        case .duplicate(let name, let newest, let sockets):
            logger.warning(
                "Found several registrations of a CSI driver, using the newest",
                metadata: ["driver": "\(name)", "socket": "\(newest)", "sockets": "\(sockets.joined(separator: ","))"]
            )
        case .unreadable(let failure):
            logger.error(
                "Failed to read the plugin registration directory, retrying",
                metadata: ["err": "\(explanation(of: failure))"]
            )
        case .readable(let directory):
            logger.notice("Read the plugin registration directory again", metadata: ["directory": "\(directory)"])
        case .truncated:
            logger.warning(
                "Ignored further files of the plugin registration directory",
                metadata: [
                    "directory": "\(configuration.directories.pluginsRegistry)",
                    "maximumSockets": .stringConvertible(RegistrationDirectory.maximumSockets),
                    "maximumDepth": .stringConvertible(RegistrationDirectory.maximumDepth),
                ]
            )
        }
    }

    func logChange(from old: [RegisteredPlugin], to new: [RegisteredPlugin]) {
        let known = Dictionary(old.map { ($0.name, $0) }) { first, _ in first }
        for plugin in new where known[plugin.name] != plugin {
            logger.notice(
                "Found CSI driver",
                metadata: ["driver": "\(plugin.name)", "endpoint": "\(plugin.endpoint)"]
            )
        }
        let names = Set(new.map(\.name))
        for plugin in old where !names.contains(plugin.name) {
            logger.notice("Lost CSI driver", metadata: ["driver": "\(plugin.name)"])
        }
    }
}
