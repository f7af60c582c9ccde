// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

extension SimulatedAPIServer {
    /// How a kubeconfig authenticates.
    package enum Credentials: Sendable {
        /// A token in the kubeconfig itself.
        case token(String)
        /// A token in a file, which may be replaced at any time.
        case tokenFile(String)
    }

    /// A kubeconfig with one cluster and its CA, one context and the namespace default.
    package func kubeconfig(_ credentials: Credentials = .token(adminToken)) -> String {
        let authority = Data(certificateAuthority.certificatePEM.utf8).base64EncodedString()
        let user =
            switch credentials {
            case .token(let token): "token: \(token)"
            case .tokenFile(let path): "tokenFile: \(path)"
            }
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
                \(user)
            contexts:
            - name: simulated
              context:
                cluster: simulated
                user: user
                namespace: default

            """
    }

    /// Writes `kubeconfig(_:)` to a file that only its owner may read.
    package func writeKubeconfig(to path: String, _ credentials: Credentials = .token(adminToken)) throws {
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        guard
            FileManager.default.createFile(
                atPath: path,
                contents: Data(kubeconfig(credentials).utf8),
                attributes: attributes
            )
        else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path]) }
    }
}
