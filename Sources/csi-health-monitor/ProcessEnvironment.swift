// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import KubernetesClient

/// The environment variables and the host name of this process.
enum ProcessEnvironment {
    /// The variables of `names` that are set and not empty.
    static func variables(_ names: [String]) -> [String: String] {
        var variables: [String: String] = [:]
        for name in names { variables[name] = variable(name) }
        return variables
    }

    /// nil if the variable is not set or empty.
    static func variable(_ name: String) -> String? {
        // Safe: nothing changes the environment of this process, and the string is copied.
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// The host's name: the pod's name, unless the pod uses the host network.
    static var hostName: String {
        // gethostname(2): HOST_NAME_MAX is 64 on Linux; the rest of the buffer stays zero.
        var buffer = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension KubernetesConfiguration {
    /// The configuration by `--kubeconfig` and the environment of this process.
    ///
    /// - Parameter path: nil: the pod's service account.
    static func load(kubeconfig path: String?) throws -> KubernetesConfiguration {
        let environment = ProcessEnvironment.variables(variables)
        guard let path else { return try inCluster(environment: environment) }
        return try load(kubeconfig: path, environment: environment)
    }
}

extension Program {
    static var userAgent: String { "csi-health-monitor/\(version)" }
}
