// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Why the diagnostics endpoint does not work.
package struct DiagnosticsError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package struct Code: Sendable, Hashable {
        private enum Base: Hashable {
            case invalidAddress
            case addressInUse
            case cannotListen
        }

        private var base: Base

        /// The text is not an address.
        package static let invalidAddress = Code(base: .invalidAddress)
        /// Another socket listens there.
        package static let addressInUse = Code(base: .addressInUse)
        /// The system refuses to listen there, for another reason.
        package static let cannotListen = Code(base: .cannotListen)
    }

    /// What kind of failure it is.
    package var code: Code
    /// What failed, where, and what to do about it.
    package var message: String
    /// The system's own error.
    package var cause: (any Error)?

    /// Describes a failure.
    package init(code: Code, message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The message.
    package var description: String { message }
}
