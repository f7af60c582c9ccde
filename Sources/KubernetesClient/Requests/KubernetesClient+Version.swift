// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import KubernetesAPI

extension KubernetesClient {
    /// The server's version, as `v1.37.0`.
    ///
    /// RBAC: none for authenticated users by default: ClusterRole `system:public-info-viewer`, non-resource URL `/version`.
    ///
    /// - Throws: ``KubernetesError``; `decoding` where the answer has no `gitVersion`.
    public func serverVersion() async throws(KubernetesError) -> String {
        let info = RequestInfo.version
        let body = try await unary(info, Content(accept: "application/json"))
        guard let version = try? JSONDecoder().decode(Version.self, from: Data(body)) else {
            throw KubernetesError(code: .decoding, message: "\(info): the answer has no gitVersion")
        }
        return version.gitVersion
    }

    /// k8s.io/apimachinery, pkg/version, `Info`.
    private struct Version: Decodable {
        var gitVersion: String
    }
}
