// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A failure to configure or to open a ``DiagnosticsEndpoint``.
package struct EndpointError: Error, Sendable, CustomStringConvertible {
    package struct Code: Sendable, Hashable {
        private enum Base: Hashable {
            case invalidAddress
            case addressInUse
            case cannotListen
        }

        private var base: Base

        /// The text is not a valid listen address.
        package static let invalidAddress = Code(base: .invalidAddress)
        /// Another socket listens there.
        package static let addressInUse = Code(base: .addressInUse)
        /// bind(2) or listen(2) failed for another reason.
        package static let cannotListen = Code(base: .cannotListen)
    }

    package var code: Code
    /// What was attempted, why it failed, and what to do.
    package var message: String
    package var cause: (any Error)?

    package init(code: Code, message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { message }
}
