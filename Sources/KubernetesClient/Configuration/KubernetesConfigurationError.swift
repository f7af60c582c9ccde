// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An unusable configuration: a file or a setting has to be changed before a retry can succeed.
///
/// The message names the file, the line or key, and what to do. It never contains a token, a key or a certificate.
package struct KubernetesConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package struct Code: Sendable, Hashable {
        private enum Base: Hashable {
            case notInCluster
            case unreadableFile
            case malformed
            case missing
            case invalid
            case unsupported
        }

        private var base: Base

        /// The process does not run in a pod that has a service account.
        package static let notInCluster = Code(base: .notInCluster)
        /// A file does not exist, is not readable or is too large.
        package static let unreadableFile = Code(base: .unreadableFile)
        /// A file does not have the expected format.
        package static let malformed = Code(base: .malformed)
        /// A required context, cluster, user or setting does not exist.
        package static let missing = Code(base: .missing)
        /// A setting has an unusable value.
        package static let invalid = Code(base: .invalid)
        /// A way to authenticate that this client does not support.
        package static let unsupported = Code(base: .unsupported)
    }

    package var code: Code
    package var message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
