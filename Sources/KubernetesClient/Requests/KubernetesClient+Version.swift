// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport
import KubernetesAPI

extension KubernetesClient {
    /// The server's version, as `v1.37.0`.
    ///
    /// RBAC: none for authenticated users by default: ClusterRole `system:public-info-viewer`, non-resource URL `/version`.
    ///
    /// - Throws: ``KubernetesError``; `decoding` where the answer has no `gitVersion`.
    package func serverVersion() async throws(KubernetesError) -> String {
        try await serverInformation().version
    }

    /// The server's version and how far this machine's clock is ahead of its.
    package struct ServerInformation: Sendable, Equatable {
        package var version: String
        /// By the response's header Date, which has whole seconds; negative: behind. nil where there is no such header.
        package var clockAhead: Duration?
    }

    /// Reads the version as ``serverVersion()`` does, and the header Date of the response.
    package func serverInformation() async throws(KubernetesError) -> ServerInformation {
        let info = RequestInfo.version
        let (body, headers) = try await response(info, Content(accept: "application/json"))
        guard let version = try? JSONDecoder().decode(Version.self, from: Data(body)) else {
            throw KubernetesError(code: .decoding, message: "\(info): the answer has no gitVersion")
        }
        let date = headers["Date"].flatMap(HTTPDate.secondsSince1970)
        return ServerInformation(
            version: version.gitVersion,
            clockAhead: date.map { .seconds(Time.now().seconds - $0) }
        )
    }

    /// k8s.io/apimachinery, pkg/version, `Info`.
    private struct Version: Decodable {
        var gitVersion: String
    }
}
