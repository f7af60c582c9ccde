// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

extension KubernetesConfiguration {
    /// The environment variables that ``user(kubeconfig:context:environment:)`` reads.
    package static let userVariables = variables + ["KUBECONFIG", "HOME"]

    /// The API server that kubectl would use for the same settings: the named kubeconfig, or else the files in
    /// `KUBECONFIG`, separated by colons, or else `~/.kube/config`, or else the cluster of the pod in which this process
    /// runs.
    ///
    /// Source: client-go, tools/clientcmd/loader.go, `ClientConfigLoadingRules`: files in `KUBECONFIG` that do not exist
    /// are skipped, and the others are merged.
    ///
    /// - Parameters:
    ///   - path: a kubeconfig; nil for the search.
    ///   - context: nil for the current one.
    ///   - environment: of the process: see ``userVariables``.
    /// - Throws: ``KubernetesConfigurationError``; `notInCluster` if there is no kubeconfig.
    package static func user(
        kubeconfig path: String?,
        context: String?,
        environment: [String: String]
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        let paths = path.map { [$0] } ?? existingKubeconfigs(environment)
        guard !paths.isEmpty else {
            guard let context else { return try inCluster(environment: environment) }
            throw KubernetesConfigurationError(
                code: .missing,
                message: "context \"\(context)\" does not exist: there is no kubeconfig"
            )
        }
        return try Kubeconfig(merging: paths).configuration(context: context, environment: environment)
    }

    private static func existingKubeconfigs(_ environment: [String: String]) -> [String] {
        var paths = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        if paths.isEmpty, let home = environment["HOME"], !home.isEmpty { paths = ["\(home)/.kube/config"] }
        // access(2) takes a C string, which lives as long as the call. A file that exists and cannot be read is an error.
        return paths.filter { unsafe access($0, F_OK) == 0 }
    }
}
