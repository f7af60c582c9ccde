// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import KubernetesClient

/// Which kubeconfig is used, and what is said if there is none.
@Suite struct UserConfigurationTests {
    private static let kubeconfig = """
        current-context: main
        contexts: [{name: main, context: {cluster: east}}]
        clusters: [{name: east, cluster: {server: "https://api.example:6443"}}]
        """

    private func server(
        _ environment: [String: String],
        kubeconfig path: String? = nil,
        context: String? = nil
    ) throws(KubernetesConfigurationError) -> String {
        try KubernetesConfiguration.user(kubeconfig: path, context: context, environment: environment).server
    }

    /// The error without a kubeconfig.
    private func failure(
        _ environment: [String: String],
        kubeconfig path: String? = nil,
        context: String? = nil
    ) throws -> KubernetesConfigurationError {
        try #require(throws: KubernetesConfigurationError.self) {
            try server(environment, kubeconfig: path, context: context)
        }
    }

    @Test func `a file of KUBECONFIG that does not exist is named, with what to do`() throws {
        var error = try failure(["KUBECONFIG": "/none/a", "HOME": "/home/user"])
        #expect(error.code == .notInCluster)
        let advice = ": correct or unset it, or set --kubeconfig"
        #expect(error.message == "KUBECONFIG names a file that does not exist or is empty: /none/a" + advice)
        error = try failure(["KUBECONFIG": "/none/a:/none/b"])
        #expect(
            error.message == "KUBECONFIG names only files that do not exist or are empty: /none/a, /none/b" + advice
        )
        error = try failure(["KUBECONFIG": "/none/a"], context: "main")
        #expect(error.code == .missing)
        #expect(
            error.message
                == "context \"main\" does not exist: KUBECONFIG names a file that does not exist or is empty: /none/a"
                + advice
        )
    }

    @Test func `without KUBECONFIG the default file is named`() throws {
        let (start, end) = ("there is no kubeconfig: KUBECONFIG is not set, and ", ": set KUBECONFIG or --kubeconfig")
        #expect(try failure(["HOME": "/none"]).message == start + "/none/.kube/config does not exist or is empty" + end)
        #expect(try failure([:]).message == start + "HOME is not set" + end)
    }

    @Test func `a file that cannot be read is named, and what names it`() async throws {
        let missing = try failure(["KUBECONFIG": "/none/b"], kubeconfig: "/none/a")
        #expect(missing.code == .unreadableFile)
        #expect(missing.message == "--kubeconfig: cannot read /none/a: No such file or directory")
        try await withTemporaryDirectory { directory in
            let error = try failure(["KUBECONFIG": "/none/a:\(directory)"])
            #expect(error.message == "KUBECONFIG: cannot read \(directory): Is a directory")
        }
    }

    /// client-go, tools/clientcmd/loader.go, `Load`: an empty path is none.
    @Test func `files that do not exist are skipped, and an empty path is none`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/config"
            try write(Self.kubeconfig, to: path)
            #expect(try server(["KUBECONFIG": "/none/a:\(path)"], kubeconfig: "") == "https://api.example:6443")
            #expect(try server(["KUBECONFIG": "/none/a"], kubeconfig: path) == "https://api.example:6443")
        }
    }

    /// client-go, tools/clientcmd/loader.go, `Load`: a file without data is a configuration without entries.
    @Test func `empty files are skipped`() async throws {
        try await withTemporaryDirectory { directory in
            let (path, empty) = ("\(directory)/config", "\(directory)/empty")
            try write(Self.kubeconfig, to: path)
            try write("", to: empty)
            #expect(try server(["KUBECONFIG": "\(empty):/dev/null:\(path)"]) == "https://api.example:6443")
            let error = try failure(["KUBECONFIG": "/dev/null"])
            #expect(error.code == .notInCluster)
            #expect(error.message.hasPrefix("KUBECONFIG names a file that does not exist or is empty: /dev/null: "))
            #expect(try failure([:], kubeconfig: empty).code == .malformed)
        }
    }

    /// As client-go: what KUBECONFIG names does not exist, and the pod has an account of its own.
    @Test func `in a pod the service account is used where no kubeconfig exists`() throws {
        let pod = ["KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBECONFIG": "/none/a"]
        do throws(KubernetesConfigurationError) {
            let server = try server(pod)
            #expect(server == "https://10.96.0.1:443")
        } catch {
            // Where the tests run in no pod.
            #expect(error.code == .unreadableFile)
            #expect(error.message.contains("/serviceaccount/token"))
        }
    }
}
