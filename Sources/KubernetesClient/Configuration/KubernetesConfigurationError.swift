// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Why there is no way to the API server: a file or a setting that has to be changed before it is worth trying again.
///
/// The message names the file and the line or key, and what to do. It never shows a token, a key or a certificate.
package struct KubernetesConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it is.
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
        /// A file is not there, may not be read or is too large.
        package static let unreadableFile = Code(base: .unreadableFile)
        /// A file is not what its format asks for.
        package static let malformed = Code(base: .malformed)
        /// A context, a cluster, a user or a setting that is needed is not there.
        package static let missing = Code(base: .missing)
        /// A setting has a value that cannot be used.
        package static let invalid = Code(base: .invalid)
        /// A way to authenticate that this program does not have.
        package static let unsupported = Code(base: .unsupported)
    }

    /// What kind of failure it is.
    package var code: Code
    /// What is wrong, where, and what to do about it.
    package var message: String

    /// Describes a failure.
    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { message }
}
