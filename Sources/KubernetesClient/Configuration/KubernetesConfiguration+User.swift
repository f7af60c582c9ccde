// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

extension KubernetesConfiguration {
    /// The environment variables that ``user(kubeconfig:context:environment:)`` reads.
    package static let userVariables = variables + ["KUBECONFIG", "HOME"]

    /// The API server that kubectl would use for the same settings: the kubeconfig of `--kubeconfig`, or else the files
    /// in `KUBECONFIG`, separated by colons, or else `~/.kube/config`, or else the cluster of the pod in which this
    /// process runs.
    ///
    /// Source: client-go, tools/clientcmd/loader.go, `ClientConfigLoadingRules`: files in `KUBECONFIG` that do not exist
    /// or are empty are skipped, and the others are merged; the file of `--kubeconfig` must exist.
    ///
    /// - Parameters:
    ///   - path: the value of `--kubeconfig`; nil or empty for the search.
    ///   - context: nil for the current one.
    ///   - environment: of the process: see ``userVariables``.
    /// - Throws: ``KubernetesConfigurationError``; `notInCluster` or, with a context, `missing` if there is no
    ///   kubeconfig. The message names the files that do not exist or cannot be read, and where they come from.
    package static func user(
        kubeconfig path: String?,
        context: String?,
        environment: [String: String]
    ) throws(KubernetesConfigurationError) -> KubernetesConfiguration {
        let search = KubeconfigSearch(flag: path ?? "", environment: environment)
        if let kubeconfig = try search.kubeconfig() {
            return try kubeconfig.configuration(context: context, environment: environment)
        }
        if let context {
            throw KubernetesConfigurationError(
                code: .missing,
                message: "context \"\(context)\" does not exist: \(search.failure)"
            )
        }
        do throws(KubernetesConfigurationError) {
            return try inCluster(environment: environment)
        } catch  where error.code == .notInCluster {
            throw KubernetesConfigurationError(code: .notInCluster, message: search.failure)
        }
    }
}

/// Where kubectl looks for kubeconfigs.
private struct KubeconfigSearch {
    /// What names the files, as the beginning of an error's text.
    private enum Source: String {
        case flag = "--kubeconfig: "
        case variable = "KUBECONFIG: "
        case home = ""
    }

    private var source: Source
    /// Only that of ``Source/flag`` must exist.
    private var paths: [String]

    init(flag: String, environment: [String: String]) {
        let variable = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        let home = environment["HOME"] ?? ""
        if !flag.isEmpty {
            (source, paths) = (.flag, [flag])
        } else if !variable.isEmpty {
            (source, paths) = (.variable, variable)
        } else {
            (source, paths) = (.home, home.isEmpty ? [] : ["\(home)/.kube/config"])
        }
    }

    /// The files that exist and are not empty, merged; nil if there is none.
    func kubeconfig() throws(KubernetesConfigurationError) -> Kubeconfig? {
        do throws(KubernetesConfigurationError) {
            if source == .flag, let path = paths.first { return try Kubeconfig(contentsOf: path) }
            // access(2) takes a C string, which lives as long as the call. A file that exists and cannot be read is an
            // error.
            return try Kubeconfig(merging: paths.filter { unsafe access($0, F_OK) == 0 })
        } catch  where error.code == .unreadableFile {
            throw KubernetesConfigurationError(code: error.code, message: source.rawValue + error.message)
        }
    }

    /// Why ``kubeconfig()`` returned nil, which it does not with `--kubeconfig`, and what to do.
    var failure: String {
        let names = paths.joined(separator: ", ")
        if source == .variable {
            let files =
                paths.count == 1 ? "a file that does not exist or is" : "only files that do not exist or are"
            return "KUBECONFIG names \(files) empty: \(names): correct or unset it, or set --kubeconfig"
        }
        let home = paths.isEmpty ? "HOME is not set" : "\(names) does not exist or is empty"
        return "there is no kubeconfig: KUBECONFIG is not set, and \(home): set KUBECONFIG or --kubeconfig"
    }
}
