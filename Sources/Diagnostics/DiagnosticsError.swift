// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Why the diagnostics endpoint does not work.
public struct DiagnosticsError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public struct Code: Sendable, Hashable {
        private enum Base: Hashable {
            case invalidAddress
            case addressInUse
            case cannotListen
        }

        private var base: Base

        /// The text is not an address.
        public static let invalidAddress = Code(base: .invalidAddress)
        /// Another socket listens there.
        public static let addressInUse = Code(base: .addressInUse)
        /// The system refuses to listen there, for another reason.
        public static let cannotListen = Code(base: .cannotListen)
    }

    /// What kind of failure it is.
    public var code: Code
    /// What failed, where, and what to do about it.
    public var message: String
    /// The system's own error.
    public var cause: (any Error)?

    /// Describes a failure.
    public init(code: Code, message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The message.
    public var description: String { message }
}
