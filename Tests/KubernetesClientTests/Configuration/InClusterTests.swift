// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

@Suite struct InClusterTests {
    @Test(arguments: [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
    func `a service account gives server, token and certificate authorities`(host: String, server: String) async throws
    {
        try await withTemporaryDirectory { directory in
            try write("eyJ.token\n", to: "\(directory)/token")
            let authority = try TestCertificateAuthority().certificatePEM
            try write(authority, to: "\(directory)/ca.crt")
            var environment = ["KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"]
            environment["HTTPS_PROXY"] = "proxy.example"
            environment["NO_PROXY"] = "10.0.0.0/8,fd00::/8"
            var configuration = try KubernetesConfiguration.inCluster(
                environment: environment,
                serviceAccountDirectory: directory
            )
            #expect(configuration.server == server)
            #expect(configuration.proxy == nil)
            #expect(configuration.tls.certificateAuthorities == Array(authority.utf8))
            #expect(configuration.tlsFiles == TLSFiles(certificateAuthorities: "\(directory)/ca.crt"))
            #expect(configuration.tls.verifiesServer)
            #expect(configuration.defaultNamespace == "default")
            guard case .tokenFile("\(directory)/token") = configuration.credentials else {
                Issue.record("another token than the service account's")
                return
            }
            try write(" storage\n", to: "\(directory)/namespace")
            configuration = try .inCluster(environment: environment, serviceAccountDirectory: directory)
            #expect(configuration.defaultNamespace == "storage")
            environment["NO_PROXY"] = nil
            configuration = try .inCluster(environment: environment, serviceAccountDirectory: directory)
            #expect(configuration.proxy?.description == "http://proxy.example:80")
        }
    }

    @Test func `outside of a cluster there is no configuration`() {
        let error = #expect(throws: KubernetesConfigurationError.self) {
            try KubernetesConfiguration.inCluster(environment: ["KUBERNETES_SERVICE_HOST": "10.0.0.1"])
        }
        #expect(error?.code == .notInCluster)
    }

    @Test(arguments: ["", "no PEM"])
    func `unreadable certificate authorities are an error`(authorities: String) async throws {
        try await withTemporaryDirectory { directory in
            try write("token", to: "\(directory)/token")
            try write(authorities, to: "\(directory)/ca.crt")
            let error = #expect(throws: KubernetesConfigurationError.self) {
                try KubernetesConfiguration.inCluster(
                    environment: ["KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "1"],
                    serviceAccountDirectory: directory
                )
            }
            #expect(error?.message == "\(directory)/ca.crt: no readable certificate: expected PEM")
        }
    }

    @Test(arguments: ["token", "ca.crt"])
    func `a missing file is named in the error`(_ missing: String) async throws {
        try await withTemporaryDirectory { directory in
            for name in ["token", "ca.crt"] where name != missing {
                try write("x", to: "\(directory)/\(name)")
            }
            let error = #expect(throws: KubernetesConfigurationError.self) {
                try KubernetesConfiguration.inCluster(
                    environment: ["KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "1"],
                    serviceAccountDirectory: directory
                )
            }
            #expect(error?.code == .unreadableFile)
            #expect(error?.message.contains("\(directory)/\(missing)") == true)
        }
    }
}
