// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

extension SimulatedAPIServer {
    /// A kubeconfig for a user of the server: one cluster with its CA, one context, the namespace default.
    public func kubeconfig(token: String = adminToken) -> String {
        let authority = Data(certificateAuthority.certificatePEM.utf8).base64EncodedString()
        return """
            apiVersion: v1
            kind: Config
            current-context: simulated
            clusters:
            - name: simulated
              cluster:
                server: \(url)
                certificate-authority-data: \(authority)
            users:
            - name: user
              user:
                token: \(token)
            contexts:
            - name: simulated
              context:
                cluster: simulated
                user: user
                namespace: default

            """
    }

    /// Writes `kubeconfig(token:)` to a file that only its owner may read.
    public func writeKubeconfig(to path: String, token: String = adminToken) throws {
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        guard
            FileManager.default.createFile(
                atPath: path,
                contents: Data(kubeconfig(token: token).utf8),
                attributes: attributes
            )
        else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path]) }
    }
}
